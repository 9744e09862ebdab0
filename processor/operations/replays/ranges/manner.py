"""How a range is replayed: how fast, to which targets, with which ``_id``s (pure)."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from processor.connector.graveyard import Names
from processor.errors import Misconfigured
from processor.operations.replays.replaying import TASK_ID, with_rate
from processor.settings import Settings, printable
from processor.settings.topics import is_topic_name

LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

DOUBLES = (
    "Every message gets a fresh _id. What Experience Platform has of these events already stays "
    "there under the usual _ids: Profile, segments and the data lake then hold each of them twice, "
    "and nothing here takes either away. Targets that hold a state are set once more."
)
TOLD_ASIDE = (
    "What fails goes to the dead-letter topic of this replay alone ({topic}), under the connector "
    "name {connector}: no other replay takes it for the connector's own."
)


class Elsewhere(NamedTuple):
    """Another Experience Platform than the configured one.

    Attributes:
        where: for people: sandbox, organisation and endpoint.
        digest: of every setting of it but secrets and proxies; the same again, the same digest.
    """

    where: str
    digest: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How a range is replayed.

    Attributes:
        rate: messages a second in all; `None`: the share of the connector's own that replays get.
        targets: only these; empty: every one that is configured.
        allow_stale: targets that hold a state get old news too.
        id_label: not empty: fresh ``_id``s, made of the usual ones and this.
        elsewhere: set when other targets stand in place of the configured ones.
    """

    rate: float | None = None
    targets: tuple[str, ...] = ()
    allow_stale: bool = False
    id_label: str = ""
    elsewhere: Elsewhere | None = None

    @property
    def aside(self) -> bool:
        """Whether what fails must not be taken for the connector's own dead letters."""
        return self.elsewhere is not None or bool(self.id_label)

    def document(self) -> dict[str, Any]:
        """As a plan and a replay's record hold it."""
        return {
            "rate": self.rate,
            "targets": list(self.targets),
            "allow_stale": self.allow_stale,
            "new_ids": self.id_label or None,
            "target_override": self.elsewhere._asdict() if self.elsewhere else None,
        }


def read_manner(document: Mapping[str, Any]) -> Manner:
    """The manner that :meth:`Manner.document` wrote.

    Raises:
        KeyError: it is not of that form; likewise TypeError and ValueError.
    """
    rate, elsewhere = document["rate"], document["target_override"]
    return Manner(
        None if rate is None else float(rate),
        tuple(map(str, document["targets"])),
        document["allow_stale"] is True,
        str(document["new_ids"] or ""),
        None if elsewhere is None else Elsewhere(str(elsewhere["where"]), str(elsewhere["digest"])),
    )


def manner_of(
    settings: Settings,
    *,
    rate: float | None,
    targets: Sequence[str],
    allow_stale: bool,
    id_label: str | None,
    overridden: bool,
) -> Manner:
    """What the options say, checked against the settings.

    Args:
        settings: with the override's tables in place, if there is one.
        rate: as given for ``--rate``; likewise the others.
        targets: names of targets.
        allow_stale: whether old news is sent too.
        id_label: of fresh ``_id``s.
        overridden: whether other targets stand in place of the configured ones.

    Raises:
        Misconfigured: an option is out of its range, or names a target that is not configured.
    """
    known = settings.experience_platform.targets
    for name in targets:
        if name not in known:
            raise Misconfigured(
                f"--target {printable(name)}: there is no such target.",
                mend=f"Give one of {', '.join(known)}.",
            )
    if rate is not None:
        if not 0 < rate < math.inf:
            raise Misconfigured("--rate takes messages a second, above 0.")
        with_rate(settings, rate)
    if id_label is not None and LABEL.fullmatch(id_label) is None:
        raise Misconfigured("--new-ids takes up to 64 letters, digits, dots, _ and -.")
    return Manner(
        rate,
        tuple(name for name in known if name in targets),
        allow_stale,
        id_label or "",
        elsewhere(settings) if overridden else None,
    )


def elsewhere(settings: Settings) -> Elsewhere:
    """What the settings say of where messages go, to know it again."""
    platform, ims = settings.experience_platform, settings.ims
    content = {
        "platform": platform.model_dump(mode="json", exclude={"proxy"}),
        "ims": [ims.token_url, ims.client_id],
    }
    return Elsewhere(
        f"sandbox {platform.sandbox_name} of {platform.org_id} at {platform.endpoint}",
        hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest(),
    )


def settings_of(settings: Settings, manner: Manner) -> Settings:
    """The settings of a replay: with its targets alone."""
    if not manner.targets:
        return settings
    platform = settings.experience_platform
    chosen = {name: platform.targets[name] for name in manner.targets}
    platform = platform.model_copy(update={"targets": chosen})
    return settings.model_copy(update={"experience_platform": platform})


def names_of(settings: Settings, manner: Manner, replay_id: str) -> Names:
    """Who writes the dead letters of a replay, and where to.

    Those of messages that went elsewhere, or under fresh ``_id``s, are set apart twice: in a topic
    of their own, which the connector never consumes, and under another connector's name, where the
    template of the topic's name does not hold ``{topic}``. So ``dlq replay`` never sends them to
    the configured targets, or under the usual ``_id``s, unless it is told to.
    """
    if not manner.aside:
        return Names(
            settings.name, TASK_ID, settings.dead_letter_topic, replay_id, targets=manner.targets
        )

    def aside(topic: str) -> str:
        return settings.dead_letter_topic(f"{topic}.replay-{replay_id}")

    name = f"{settings.name}-replay-{replay_id}"
    return Names(name, TASK_ID, aside, replay_id, targets=manner.targets)


def require_topic_names(names: Names, topics: Sequence[str]) -> None:
    """Refuse topics whose dead-letter topic would have a name that Kafka does not take.

    Raises:
        Misconfigured: there is one.
    """
    for topic in topics:
        letters = names.dead_letter_topic(topic)
        if not is_topic_name(letters):
            raise Misconfigured(
                f"The dead-letter topic {letters} of this replay would have a name that is too "
                "long for Kafka.",
                mend="Shorten errors.deadletterqueue_topic_name.",
            )


def warnings_of(manner: Manner, names: Names, topics: Sequence[str]) -> Iterator[str]:
    """What to know before such a replay is done."""
    if manner.elsewhere is not None:
        yield f"Messages go to {manner.elsewhere.where}, not to the configured targets."
    if manner.id_label:
        yield f"--new-ids {manner.id_label}: {DOUBLES}"
    if manner.aside:
        letters = ", ".join(names.dead_letter_topic(topic) for topic in topics)
        yield TOLD_ASIDE.format(topic=letters, connector=names.connector)
