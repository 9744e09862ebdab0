"""Preflight of how our own topics are set: dead letters must last, and the state must not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from processor.operations.checks.cluster import Cluster
from processor.operations.checks.finding import Finding, bad, ok, skipped, warning

_DAY_MS = 86_400_000
SHORT_MS = 7 * _DAY_MS
"""A mistake that is noticed after the weekend, mended and replayed takes about that long."""

FOR_EVER = -1


@dataclass(slots=True)
class LettersTopic:
    """A dead-letter topic that exists.

    Attributes:
        partitions: how many it has.
        sources: partitions of each topic whose dead letters go there.
    """

    topic: str
    partitions: int
    sources: dict[str, int] = field(default_factory=dict)


def letters_topic(cluster: Cluster, letters: LettersTopic) -> Iterator[Finding]:
    """Whether dead letters keep their place, last long enough, and not for ever."""
    yield from _partitions(letters)
    configs = cluster.configs(letters.topic)
    if configs is None:
        yield _hidden(letters.topic)
        return
    found = [*_policy(letters.topic, configs), *_retention(letters.topic, configs)]
    for source in letters.sources:
        found += _sizes(letters.topic, configs, source, cluster.configs(source))
    yield from found
    if not any(finding.status in {"bad", "warning"} for finding in found):
        kept = _days(_number(configs, "retention.ms"))
        yield ok(f"settings of {letters.topic}", f"dead letters are kept for {kept}")


def state_topic(cluster: Cluster, topic: str, partitions: int) -> Iterator[Finding]:
    """Whether what the connector's processes know of each other would last."""
    if partitions != 1:
        yield warning(
            f"partitions of {topic}",
            f"It has {partitions}; only the first is used, so that all of it has one order.",
            "Nothing has to be done; a new state topic gets one.",
        )
    configs = cluster.configs(topic)
    if configs is None:
        yield _hidden(topic)
        return
    policy = configs.get("cleanup.policy", "compact")
    if policy != "compact":
        yield bad(
            f"cleanup.policy of {topic}",
            f"It is {policy}: the connector's state would expire.",
            f"Set cleanup.policy=compact on {topic}.",
        )
        return
    yield ok(f"settings of {topic}", "it is compacted")


def _partitions(letters: LettersTopic) -> Iterator[Finding]:
    most = max(letters.sources.values(), default=0)
    if letters.partitions >= most:
        return
    yield warning(
        f"partitions of {letters.topic}",
        f"It has {letters.partitions} and its source {most}: letters of the higher partitions "
        "go elsewhere, and those of one key no longer stand in one order.",
        f"Add partitions: kafka-topics.sh --alter --topic {letters.topic} --partitions {most}.",
    )


def _policy(topic: str, configs: Mapping[str, str]) -> Iterator[Finding]:
    policy = configs.get("cleanup.policy", "delete")
    if "compact" in policy:
        yield bad(
            f"cleanup.policy of {topic}",
            f"It is {policy}: of dead letters with one key only the last is kept, and one without "
            "a key is refused.",
            f"Set cleanup.policy=delete on {topic}.",
        )


def _retention(topic: str, configs: Mapping[str, str]) -> Iterator[Finding]:
    kept_ms = _number(configs, "retention.ms")
    if kept_ms == FOR_EVER:
        yield warning(
            f"retention.ms of {topic}",
            "Dead letters, with their customers' data, are kept for ever.",
            f"Set retention.ms on {topic} to the time you need to mend and replay, such as "
            "2592000000 (30 days).",
        )
    elif kept_ms is not None and kept_ms < SHORT_MS:
        yield warning(
            f"retention.ms of {topic}",
            f"Dead letters vanish after {_days(kept_ms)}, perhaps before anybody has mended what "
            "made them.",
            f"Raise retention.ms on {topic}; 2592000000 is 30 days.",
        )
    limit = _number(configs, "retention.bytes")
    if limit is not None and limit != FOR_EVER:
        yield warning(
            f"retention.bytes of {topic}",
            f"A partition keeps {limit} bytes: many dead letters push out the older ones, "
            "whatever their age.",
            f"Set retention.bytes=-1 on {topic}.",
        )


def _sizes(
    topic: str, configs: Mapping[str, str], source: str, of_source: Mapping[str, str] | None
) -> Iterator[Finding]:
    subject = f"max.message.bytes of {topic}"
    if of_source is None:
        yield skipped(
            subject,
            f"The one of {source} cannot be seen, so the two cannot be compared.",
            f"Grant DESCRIBE_CONFIGS on topic {source} to have them compared.",
        )
        return
    ours, theirs = (_number(of, "max.message.bytes") for of in (configs, of_source))
    if ours is not None and theirs is not None and ours < theirs:
        yield warning(
            subject,
            f"It is {ours} and that of {source} {theirs}: a large record could not become a dead "
            "letter, and the connector would wait at it.",
            f"Raise max.message.bytes of {topic} above that of {source}.",
        )


def _hidden(topic: str) -> Finding:
    return skipped(
        f"settings of {topic}",
        "They cannot be seen with these credentials.",
        f"Grant DESCRIBE_CONFIGS on topic {topic} to have them looked at.",
    )


def _number(configs: Mapping[str, str], name: str) -> int | None:
    try:
        return int(configs[name])
    except (KeyError, ValueError):
        return None


def _days(time_ms: int | None) -> str:
    if time_ms is None:
        return "as long as the broker keeps records"
    hours = time_ms / 3_600_000
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.1f} hours"  # noqa: PLR2004 - two days
