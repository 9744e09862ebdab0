"""The file of a plan: a range that was looked at, to be replayed exactly so."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from processor.errors import Misconfigured
from processor.operations.chosen import Offsets
from processor.operations.private_file import private_file
from processor.operations.replays.ranges.pinned import Pinned, read_pinned
from processor.operations.resolutions.runs import pack, unpack
from processor.record import TopicPartition
from processor.settings.masking import printable

VERSION = 1
KIND = "range"
LARGEST_BYTES = 256 * 1024 * 1024


def save(path: Path, pinned: Pinned, *, connector: str, created: str, by: str, force: bool) -> None:
    """Write a plan, for its owner alone (0600).

    Args:
        path: where it will be.
        pinned: the range.
        connector: its name.
        created: RFC 3339.
        by: ``user@host``.
        force: replace a file that is there.

    Raises:
        Misconfigured: a file is there and `force` is not given, or it cannot be written.
    """
    packed = {partition: pack(offsets) for partition, offsets in pinned.singled_out()}
    document = {
        "version": VERSION,
        "kind": KIND,
        "connector": connector,
        "created": created,
        "by": by,
        **pinned.document(),
    }
    for row in document["partitions"]:
        partition = TopicPartition(row["topic"], row["partition"])
        if partition in packed:
            row["offsets"] = packed[partition]
    with private_file(path, force=force) as file:
        file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def load(path: Path, *, connector: str) -> Pinned:
    """Read a plan.

    Raises:
        Misconfigured: the file cannot be read, is no plan of a range, or one of another connector
            or version.
    """
    shown = printable(str(path))
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Misconfigured(f"{shown} is no plan: it is larger than one can be.")
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{shown} cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError:
        raise Misconfigured(f"{shown} is no plan: it is not JSON.") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise Misconfigured(f"{shown} is no plan of `processor replay plan`.")
    if document.get("version") != VERSION:
        raise Misconfigured(
            f"{shown} is a plan of another version than {VERSION}.", mend="Make the plan again."
        )
    if document.get("connector") != connector:
        raise Misconfigured(
            f"{shown} is a plan of the connector {printable(str(document.get('connector')))}; "
            f"these settings are of {connector}."
        )
    try:
        return read_pinned(document, _singled_out(document))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Misconfigured(f"{shown} is damaged.", mend="Make the plan again.") from None


def _singled_out(document: Mapping[str, Any]) -> Iterator[tuple[TopicPartition, Offsets]]:
    for row in document["partitions"]:
        if "offsets" in row:
            yield TopicPartition(str(row["topic"]), int(row["partition"])), unpack(row["offsets"])
