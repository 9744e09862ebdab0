"""The wheel: what an installation without a checkout gets."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*command, directory], cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_every_schema(wheel: Path) -> None:
    expected = {
        path.relative_to(ROOT).as_posix().replace("schemas/", "processor/_schemas/", 1)
        for path in (ROOT / "schemas").rglob("*")
        if path.is_file()
    }
    expected |= {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "processor").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())

    assert expected <= names
    assert {name.partition("/")[0] for name in names - expected} == {
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    }


def test_the_command_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    script = (
        "import processor, processor.schemas.folder as f; print(processor.__file__);"
        "print(f.builtin_directory()); print(len(list(f.builtin_directory().iterdir())))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )

    package, schemas, entries = done.stdout.splitlines()
    assert Path(package).parent == tmp_path / "site" / "processor"
    assert Path(schemas) == tmp_path / "site" / "processor" / "_schemas"
    assert int(entries) == len(list((ROOT / "schemas").iterdir()))
