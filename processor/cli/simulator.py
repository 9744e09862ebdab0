"""``processor simulator``: IMS and Experience Platform on this machine."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from processor.cli.app import Config


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: processor simulator --port 8090 --validation async")(simulator)


def simulator(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one and names it.")
    ],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; it takes no password.")
    ] = "127.0.0.1",
    *,
    config: Config = None,
    validation: Annotated[
        Literal["sync", "async"],
        typer.Option(
            "--validation",
            help="sync: XDM violations are refused at once; async: accepted, and listed as failed "
            "afterwards, as Experience Platform does without diagnostics.",
        ),
    ] = "sync",
    tenant: Annotated[
        str, typer.Option("--tenant", help="Tenant id; else any one name passes.")
    ] = "",
    schemas: Annotated[
        Path | None,
        typer.Option("--schemas", metavar="DIRECTORY", help="XDM schemas; else the product's own."),
    ] = None,
    token_lifetime_s: Annotated[
        float, typer.Option("--token-lifetime", min=0.1, metavar="SECONDS", help="Life of a token.")
    ] = 86_400.0,
) -> None:
    """Run IMS and Experience Platform as documented, with faults on demand.

    Answers on /ims/token and /collection like the real ones; /simulator/faults scripts what goes
    wrong, /simulator/received lists what came in. With --config it knows exactly the client,
    organisation and inlets of those settings. Ends at SIGTERM or Ctrl-C.
    """
    from dataclasses import replace

    from processor.settings import client_secrets, load
    from processor.simulator import server
    from processor.simulator.options import SimulatorOptions

    options = SimulatorOptions(schemas_directory=schemas)
    if config is not None:
        settings = load(config, os.environ)
        options = SimulatorOptions.for_platform(
            settings.experience_platform,
            client_id=settings.ims.client_id,
            client_secrets=[secret.read() for secret in client_secrets(settings.ims).values()],
            schemas_directory=schemas,
        )
    options = replace(
        options,
        validation=validation,
        tenant=tenant or options.tenant,
        token_lifetime_s=token_lifetime_s,
    )
    server.run(host, port, options=options)
