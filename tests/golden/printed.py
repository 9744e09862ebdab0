"""A child process that prints what every example becomes: a line a message, with its exact bytes.

``python -m tests.golden.printed``. Each example is shaped twice, as it is and without the ids that
Capillary gave it, for then the ``_id`` is made of the event's content.
"""

import json
import sys
from collections.abc import Iterator

from pydantic import SecretStr

from processor.connector.assembly import Shaping, shaping
from processor.connector.passage import Passage
from processor.record import Record
from processor.schemas.folder import builtin_directory
from processor.settings import Settings, TargetSettings
from processor.settings.models import ExperiencePlatformSettings, ImsSettings, KafkaSettings

IDS = ("eventId", "refId")


def _settings() -> Settings:
    targets = {
        file.stem.removeprefix("to-") for file in sorted(builtin_directory().glob("*/to-*.json"))
    }
    return Settings(
        kafka=KafkaSettings(bootstrap_servers="nowhere:1", topics=["events"]),
        ims=ImsSettings(client_id="client", client_secret=SecretStr("secret")),
        experience_platform=ExperiencePlatformSettings(
            org_id=f"{'A' * 24}@AdobeOrg",
            tenant="acme",
            targets={
                name: TargetSettings(inlet_id=name, dataset_id=name, schema_id=name)
                for name in sorted(targets)
            },
        ),
    )


def _inputs() -> Iterator[tuple[str, bytes]]:
    for file in sorted(builtin_directory().glob("*/examples/*/input.json")):
        yield str(file.parent), file.read_bytes()
        event = json.loads(file.read_bytes())
        bare = {name: value for name, value in event.items() if name not in IDS}
        yield f"{file.parent} without ids", json.dumps(bare).encode()


def _lines(shapes: Shaping) -> Iterator[bytes]:
    for name, value in _inputs():
        record = Record("events", 0, 7, 1_750_000_000_000, b"key", value)
        passage = Passage(record, 1)
        parcels = shapes.transform.parcels(passage, shapes.decoder.decode(record))
        for failure in passage.failures:
            yield f"{name} fails for {failure.target}: {failure.error.code}".encode()
        for parcel in parcels:
            message = parcel.message
            said = f"{name} {parcel.name} {message.id} {message.order_key!r} "
            yield said.encode() + message.body


if __name__ == "__main__":
    for line in _lines(shaping(_settings())):
        sys.stdout.buffer.write(line + b"\n")
