"""The demo's settings file, and the operator's schemas folder with its mistake and its mend."""

import json
import secrets
import shutil
from pathlib import Path

from processor.schemas.folder import builtin_directory

CLIENT_ID, CLIENT_SECRET = "simulator-client", "simulator-secret"
ORG_ID = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
TARGETS = ("event", "loyalty", "profile", "tier")
WRONG_PATTERN, RIGHT_PATTERN = "dd/MM/yyyy", "yyyy-MM-dd"
CURED_EVENT = "pointsIssued"
TOKEN = "admin_token"  # noqa: S105 - the name of its file


def write_settings(
    directory: Path,
    *,
    topic: str,
    bootstrap_servers: str,
    registry_url: str,
    simulator_url: str,
    admin_port: int,
    replication_factor: int,
) -> Path:
    """Write ``processor.toml``, whose path is returned, and the files with its secrets.

    Without a token of its own the page would only look: replays need one even on loopback.
    """
    secret = _secret(directory / "ims_client_secret", CLIENT_SECRET)
    token = _secret(directory / TOKEN, secrets.token_urlsafe(18))
    targets = "".join(_target(name, number) for number, name in enumerate(TARGETS, 1))
    path = directory / "processor.toml"
    path.write_text(
        f"""\
name = "capillary-demo"

[kafka]
bootstrap_servers = "{bootstrap_servers}"
topics = ["{topic}"]

[schema_registry]
url = "{registry_url}"
unknown_id_grace_s = 2                     # the demo does not want to wait half a minute

[schemas]
directory = "{directory / "schemas"}"

[ims]
token_url = "{simulator_url}/ims/token"
client_id = "{CLIENT_ID}"
client_secret_file = "{secret}"

[experience_platform]
endpoint = "{simulator_url}"
platform_endpoint = "{simulator_url}"      # for `processor schemas fetch`
org_id = "{ORG_ID}"
tenant = "acme"
{targets}
[errors]
systemic_min = 1000  # the demo's mistake makes more letters than the brake lets through at once
deadletterqueue_topic_replication_factor = {replication_factor}

[state]
replication_factor = {replication_factor}

[admin]
port = {admin_port}
token_file = "{token}"

[logging]
format = "console"
"""
    )
    return path


def _secret(path: Path, value: str) -> Path:
    path.touch(0o600)
    path.write_text(value)
    return path


def _target(name: str, number: int) -> str:
    ordering = '\nordering = "none"                          # events carry _id and time' * (
        name == "event"
    )
    return f"""
[experience_platform.targets.{name}]
inlet_id = "{name}"
dataset_id = "6512bd43d9caa6e02c990b0{number}"
schema_id = "https://ns.adobe.com/acme/schemas/capillary-{name}"
flow_id = "f0000000-0000-4000-8000-00000000000{number}"{ordering}
"""


def make_mistake(directory: Path) -> Path:
    """Write an operator's version of one mapping set, with a wrong date pattern in one row.

    Returns:
        The file of the mapping set.
    """
    folder = directory / "schemas" / CURED_EVENT
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(
        builtin_directory() / CURED_EVENT, folder, ignore=shutil.ignore_patterns("examples")
    )
    shutil.copytree(builtin_directory() / "common", folder.parent / "common")
    path = folder / "to-loyalty.json"
    mapping_set = json.loads(path.read_text())
    mapping_set["mappings"] += [
        {
            "sourceType": "ATTRIBUTE",
            "source": "data.regularPointsBreakup[0].points",
            "destination": "loyalty.pointsExpiration[0].pointsExpiring",
        },
        {
            "sourceType": "EXPRESSION",
            "source": f'date(data.regularPointsBreakup[0].expiryAt, "{WRONG_PATTERN}")',
            "destination": "loyalty.pointsExpiration[0].pointsExpirationDate",
        },
    ]
    path.write_text(json.dumps(mapping_set, indent=2))
    return path


def mend(path: Path) -> None:
    """Correct the date pattern."""
    path.write_text(path.read_text().replace(WRONG_PATTERN, RIGHT_PATTERN))
