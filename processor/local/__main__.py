"""``python -m processor.local`` fetches what the demo and the tests start, and says so."""

import sys

from processor.errors import Misconfigured
from processor.local import broker, registry


def main() -> int:
    """Fill the cache; 1 when something is missing."""
    try:
        broker.install(progress=_say)
        registry.install(progress=_say)
    except Misconfigured as error:
        _say(str(error))
        return 1
    return 0


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
