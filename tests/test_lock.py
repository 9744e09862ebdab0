"""The lock files: complete, with hashes, without addresses, and in step with pyproject.toml."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
RUNTIME = ROOT / "deploy" / "requirements.txt"
EVERYTHING = ROOT / "tests" / "requirements.txt"
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>\S+)(?: ; .*)? \\$", re.MULTILINE)
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")

both = pytest.mark.parametrize("lock", [RUNTIME, EVERYTHING], ids=["runtime", "everything"])


def project() -> dict[str, object]:
    content: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return content


def asked(extra: str = "") -> list[Requirement]:
    table = project()
    lines = table["dependencies"]
    if extra:
        optional = table["optional-dependencies"]
        assert isinstance(optional, dict)
        lines = optional[extra]
    assert isinstance(lines, list)
    return [Requirement(line) for line in lines]


def pins(lock: Path) -> dict[str, str]:
    return {canonicalize_name(m["name"]): m["version"] for m in PIN.finditer(lock.read_text())}


@both
def test_every_line_is_a_pin_a_hash_or_a_comment(lock: Path) -> None:
    strays = [
        line
        for line in lock.read_text().splitlines()
        if line and not (PIN.match(line) or HASH.match(line) or line.lstrip().startswith("#"))
    ]

    assert not strays


@both
def test_no_address_is_written_down(lock: Path) -> None:
    text = lock.read_text()

    assert "://" not in text
    assert "--index" not in text.replace("--no-emit-index-url", "")


@both
def test_every_pin_has_a_hash(lock: Path) -> None:
    lines = lock.read_text().splitlines()

    assert all(HASH.match(after) for line, after in pairwise(lines) if PIN.match(line))


@pytest.mark.parametrize(("lock", "extra"), [(RUNTIME, ""), (EVERYTHING, ""), (EVERYTHING, "dev")])
def test_what_the_project_asks_for_is_pinned_within_its_bounds(lock: Path, extra: str) -> None:
    pinned = pins(lock)

    for requirement in asked(extra):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}, but {version} is pinned"


def test_tests_run_with_the_versions_that_are_shipped() -> None:
    assert pins(RUNTIME).items() <= pins(EVERYTHING).items()


def test_nothing_of_the_tests_is_shipped() -> None:
    shipped = set(pins(RUNTIME))

    assert not shipped & {canonicalize_name(requirement.name) for requirement in asked("dev")}
