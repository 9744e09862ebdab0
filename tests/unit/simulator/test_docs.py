"""The simulator's page says what the simulator takes, and nothing else."""

import re
from pathlib import Path

import pytest

from processor.simulator.faults import Fault, Match, MultiStatus, Refuse, Shape, read_faults

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()


@pytest.mark.parametrize("shape", [Fault, Match, Refuse, MultiStatus])
def test_every_key_of_a_fault_is_described(shape: type[Shape]) -> None:
    keys = {field.alias or name for name, field in shape.model_fields.items()}

    assert {key for key in keys if f"`{key}`" not in PAGE and f'"{key}"' not in PAGE} == set()


def test_the_examples_are_taken() -> None:
    examples = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)

    assert examples
    assert all(read_faults(example.encode()) for example in examples)


@pytest.mark.parametrize(
    "reason",
    [
        "event_too_large",
        "record_too_large",
        "timestamp_in_the_future",
        "no_identity",
        "no_primary_identity",
        "several_primary_identities",
        "empty_identity",
        "unknown_namespace",
    ],
)
def test_every_reason_for_which_profile_drops_is_described(reason: str) -> None:
    assert f"`{reason}`" in PAGE
