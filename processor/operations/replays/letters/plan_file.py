"""A plan: which dead letters a replay will send, and what is expected of each; a file of JSON.

It names coordinates and reasons, no values of records. Offsets stand as ``0-16,18`` for each kind
of expectation, so that what came of each letter can be laid beside what was expected of it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from processor.errors import Code, FilterReason, Misconfigured
from processor.operations.chosen import Chosen, Offsets
from processor.operations.private_file import private_file
from processor.operations.rehearsal import Expectation, Expected
from processor.operations.resolutions.runs import read, union, write
from processor.record import TopicPartition
from processor.settings.masking import printable

VERSION = 1
LARGEST_BYTES = 256 * 1024 * 1024
"""A hundred million offsets in a row take a line; this holds ten million that are apart."""


class Origin(NamedTuple):
    """Whose letters they are.

    Attributes:
        topic_ids: by dead-letter topic, as far as the broker told.
    """

    connector: str
    cluster_id: str
    topic_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay will send.

    Attributes:
        created: RFC 3339; likewise ``by``: ``user@host``.
        selection: the options that it was made with, by name; keys as hashes.
        letters: by what is expected of them.
    """

    origin: Origin
    created: str
    by: str
    selection: Mapping[str, Any]
    letters: Mapping[Expectation, Chosen]

    @property
    def chosen(self) -> Chosen:
        """All of its letters."""
        sets: dict[TopicPartition, list[Offsets]] = {}
        for chosen in self.letters.values():
            for partition, offsets in chosen.by_partition.items():
                sets.setdefault(partition, []).append(offsets)
        return Chosen({partition: union(*offsets) for partition, offsets in sorted(sets.items())})

    def document(self) -> dict[str, Any]:
        """As its file holds it."""
        return {
            "version": VERSION,
            "kind": "letters",
            "connector": self.origin.connector,
            "cluster_id": self.origin.cluster_id,
            "topic_ids": dict(self.origin.topic_ids),
            "created": self.created,
            "by": self.by,
            "selection": dict(self.selection),
            "count": self.chosen.count,
            "letters": list(self._rows()),
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        for expectation, chosen in self.letters.items():
            for (topic, partition), offsets in chosen.by_partition.items():
                place = {"topic": topic, "partition": partition}
                yield {**place, **expectation.document(), "offsets": write(offsets)}

    @property
    def digest(self) -> str:
        """What names it: the same letters of the same plan, the same digest."""
        content = orjson.dumps(self.document(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(content).hexdigest()


def require_new(path: Path, *, force: bool) -> None:
    """Say now that a plan could not be written there later.

    Raises:
        Misconfigured: something is there.
    """
    if path.exists() and not force:
        raise Misconfigured(
            f"{printable(str(path))} is there already.",
            mend="--execute replays a plan; --force replaces the file.",
        )


def save(plan: Plan, path: Path, *, force: bool) -> None:
    """Write a plan, for us alone.

    Args:
        plan: what to write.
        path: where to.
        force: replace what is there.

    Raises:
        Misconfigured: something is there, or it cannot be written.
    """
    with private_file(path, force=force) as file:
        file.write(orjson.dumps(plan.document(), option=orjson.OPT_INDENT_2) + b"\n")


def load(path: Path) -> Plan:
    """Read a plan.

    Raises:
        Misconfigured: the file cannot be read, or is no plan, or one of another version.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Misconfigured(f"{path} is no plan: it is larger than one can be.")
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError:
        raise Misconfigured(f"{path} is no plan: it is not JSON.") from None
    if not isinstance(document, dict) or document.get("kind") != "letters":
        raise Misconfigured(f"{path} is no plan of `processor dlq replay`.")
    if document.get("version") != VERSION:
        raise Misconfigured(
            f"{path} is a plan of version {document.get('version')!r}; this processor reads "
            f"version {VERSION}.",
            mend="Make the plan again.",
        )
    try:
        return _plan(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Misconfigured(f"{path} is damaged: {error}.", mend="Make the plan again.") from None


def _plan(document: Mapping[str, Any]) -> Plan:
    connector, cluster_id, created, by = (
        str(document[name]) for name in ("connector", "cluster_id", "created", "by")
    )
    topic_ids = {str(topic): str(id_) for topic, id_ in document["topic_ids"].items()}
    letters: dict[Expectation, Chosen] = {}
    for row in document["letters"]:
        chosen = letters.setdefault(_expectation(row), Chosen())
        partition = TopicPartition(str(row["topic"]), int(row["partition"]))
        if partition in chosen.by_partition:
            raise ValueError(f"it names {partition} twice for one expectation")
        chosen.by_partition[partition] = read(row["offsets"])
    plan = Plan(
        Origin(connector, cluster_id, topic_ids), created, by, dict(document["selection"]), letters
    )
    counts = sum(chosen.count for chosen in letters.values()), plan.chosen.count
    if {*counts, document["count"]} != {counts[0]}:
        raise ValueError("its letters are not as many as it says")
    return plan


def _expectation(row: Mapping[str, Any]) -> Expectation:
    code, reason = row.get("code"), row.get("reason")
    return Expectation(
        Expected(row["expected"]),
        None if code is None else Code(code),
        str(row.get("fingerprint", "")),
        None if reason is None else FilterReason(reason),
        partly_stale=row.get("partly_stale") is True,
    )


def require_same(plan: Plan, now: Origin, name: str) -> None:
    """Refuse a plan of another connector's letters, or of letters that are no more.

    Raises:
        Misconfigured: it is one.
    """
    then = plan.origin
    if then.connector != now.connector:
        raise Misconfigured(
            f"{name} is a plan of the connector {printable(then.connector)}; these settings are of "
            f"{now.connector}."
        )
    if then.cluster_id and now.cluster_id and then.cluster_id != now.cluster_id:
        raise Misconfigured(
            f"{name} is a plan for the Kafka cluster {printable(then.cluster_id)}; "
            f"kafka.bootstrap_servers leads to {now.cluster_id}."
        )
    for topic in sorted({place.topic for place in plan.chosen.by_partition}):
        before, after = then.topic_ids.get(topic), now.topic_ids.get(topic)
        if before and after and before != after:
            raise Misconfigured(
                f"{name} is a plan for a topic {topic} that was deleted; another one has its "
                "name now.",
                mend="Make the plan again.",
            )
