"""Names of the topics that the connector writes itself."""

import re
import string

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ANY = "\0"


def is_topic_name(topic: str) -> bool:
    """Whether Kafka takes this as the name of a topic.

    Source: Apache Kafka, ``org.apache.kafka.common.internals.Topic``.
    """
    return _NAME.fullmatch(topic) is not None and topic not in {".", ".."}


def template_fields(template: str) -> set[str] | None:
    """The names in braces; `None` when the braces are wrong or hold more than a name."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return None
    if any(spec or conversion for _, _, spec, conversion in parts):
        return None
    return {field for _, field, _, _ in parts if field is not None}


def fill(template: str, *, name: str, topic: str = "") -> str:
    """The template with the connector's name and the source topic in place."""
    return template.replace("{name}", name).replace("{topic}", topic)


def is_own(topic: str, *, name: str, letters: str, state: str) -> bool:
    """Whether this is the state topic or the dead-letter topic of any source topic.

    Args:
        topic: the name in question.
        name: the connector's.
        letters: the template of dead-letter topics.
        state: the template of the state topic.
    """
    parts = fill(letters, name=name, topic=_ANY).split(_ANY)
    pattern = ".+".join(map(re.escape, parts))
    return topic == fill(state, name=name) or re.fullmatch(pattern, topic) is not None
