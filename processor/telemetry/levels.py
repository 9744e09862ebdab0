"""Levels of the connector's own loggers, changed while it runs and until the process ends."""

import logging
import time

ROOT, OURS = "root", "processor"
OFF = logging.CRITICAL + 10

_changed_ms: dict[str, int] = {}


def known() -> list[str]:
    """The names of our own loggers, and the root's."""
    names = [name for name in logging.root.manager.loggerDict if is_ours(name)]
    return [*sorted(names), ROOT]


def is_ours(name: str) -> bool:
    """Whether its level may be changed.

    What libraries write below the level that they are kept at holds headers and addresses.
    """
    return name in {ROOT, OURS} or name.startswith(f"{OURS}.")


def below(name: str) -> list[str]:
    """This logger, known or not, and all that are below it by name."""
    return sorted({name, *(one for one in known() if one.startswith(f"{name}."))})


def set_level(name: str, level: int) -> None:
    """Set a logger's level, and that of all below it; one that is not ours is left alone."""
    if not is_ours(name):
        return
    now_ms = round(time.time() * 1000)
    for one in below(name):
        _logger(one).setLevel(level)
        _changed_ms[one] = now_ms


def level_of(name: str) -> int:
    """The level that counts for a logger."""
    return _logger(name).getEffectiveLevel()


def changed_ms(name: str) -> int | None:
    """When its level was changed, in milliseconds since the epoch; `None`: it was not."""
    return _changed_ms.get(name)


def _logger(name: str) -> logging.Logger:
    return logging.getLogger("" if name == ROOT else name)
