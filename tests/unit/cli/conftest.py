import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from processor.cli import invoke

SETTINGS = """
[kafka]
bootstrap_servers = "127.0.0.1:1"
topics = ["capillary.events"]

[ims]
token_url = "http://127.0.0.1:1/ims/token"
client_id = "the-client"
client_secret = "the-secret-canary"

[experience_platform]
endpoint = "http://127.0.0.1:1"
org_id = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
tenant = "acme"

[experience_platform.targets.event]
inlet_id = "inlet"
dataset_id = "dataset"
schema_id = "https://ns.adobe.com/acme/schemas/1"
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A settings file with nothing wrong; nothing answers at its addresses."""
    file = tmp_path / "processor.toml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """Runs a command in this process; afterwards logging is as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    for name in [name for name in os.environ if name.startswith("PROCESSOR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Ran:
        status = invoke(arguments)
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    yield run
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


@pytest.fixture
def program(tmp_path: Path) -> Command:
    """Runs a command as a program of its own."""

    def run(*arguments: str, environ: Mapping[str, str] | None = None) -> Ran:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PROCESSOR_")}
        ran = subprocess.run(
            [sys.executable, "-m", "processor", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**kept, "COLUMNS": "200", **(environ or {})},
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run
