"""One thing that is wrong with the settings."""

from typing import NamedTuple


class Problem(NamedTuple):
    """What is wrong with a key and how to mend it; never shows the value of a secret.

    Attributes:
        key: dotted, such as ``kafka.topics``, or the name of a variable.
        sentence: what is wrong and the mend.
    """

    key: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.key}: {self.sentence}"
