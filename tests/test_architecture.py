"""The house rules as data: who may import whom, and how large a module may grow."""

import ast
import sys
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "processor"

ORDER = (
    "errors",
    "record",
    "settings",
    "telemetry",
    "schemas",
    "mapping",
    "experience_platform",
    "kafka",
    "connector",
    "operations",
    "admin",
    "simulator",
    "local",
    "demo",
    "cli",
    "__main__",
)
"""The wings; one may import only what stands before it."""

VOCABULARY = {"errors", "record", "settings", "telemetry"}
VOCABULARY_ONLY = {"simulator", "local"}
"""The simulator judges what mapping and gate make, so it must not be made of them; `local` knows
nothing of the product but how to start it."""

ANYWHERE = ("",)
MAY_IMPORT = {
    "aiolimiter": ("connector",),
    "anyio": ("connector", "admin"),
    "annotated_types": ("settings",),
    "confluent_kafka": ("kafka", "operations", "local", "demo"),
    "fastavro": ("schemas",),
    "fastjsonschema": ("simulator",),
    "httpx": ("experience_platform", "schemas/registry", "operations", "local", "demo"),
    "jinja2": ("admin",),
    "jsonschema_rs": ("experience_platform",),
    "lark": ("mapping",),
    "markupsafe": ("admin",),
    "opentelemetry": ("telemetry",),
    "orjson": ANYWHERE,
    "phonenumbers": ("experience_platform",),
    "prometheus_client": ("telemetry", "connector", "admin"),
    "pydantic": ("settings", "operations", "admin/connect/plugins", "simulator"),
    "pydantic_core": ("settings",),
    "pydantic_settings": ("settings",),
    "re2": ("mapping",),
    "rich": ("telemetry", "demo", "cli"),
    "starlette": ("admin", "simulator"),
    "structlog": ("telemetry",),
    "tenacity": ("connector",),
    "typer": ("cli",),
    "uvicorn": ("admin", "simulator"),
    # Of the standard library:
    "marshal": (),
    "pickle": (),
    "shelve": (),
    "subprocess": ("local", "demo"),
}
"""Which part of the package may import a library; what is not listed, nobody may."""

RUNS_CODE = {
    "schemas/compiled.py": "readers compiled from a vetted Avro schema; see its docstring",
    "mapping/compiler.py": "mapping sets compiled from a checked syntax tree",
}
RUNNING_CODE = {"eval", "exec", "__import__"}

LINES = 400
TOP_LEVEL = {
    ".ci",
    ".dockerignore",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "deploy",
    "docker-compose.yml",
    "docs",
    "processor",
    "pyproject.toml",
    "schemas",
    "tests",
}
"""Everything that a reader meets first; a new entry needs a place inside one of these instead."""
LEFT_BY_TOOLS = {".git", ".venv", ".cache", ".hypothesis", "__pycache__", "build", "dist"}

MODULES = sorted(PACKAGE.rglob("*.py"))
by_path = pytest.mark.parametrize(
    "path", MODULES, ids=[path.relative_to(PACKAGE).as_posix() for path in MODULES]
)


def wing_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            # `from processor import kafka` is an arrow to the wing too.
            names |= (
                {f"processor.{alias.name}" for alias in node.names}
                if (module == "processor")
                else {module}
            )
    return names


def wings_of(names: set[str]) -> set[str]:
    found = {name.split(".")[1] for name in names if name.startswith("processor.")}
    return found - {"__version__"}


def submodules_of(path: Path, modules: Collection[str]) -> set[str]:
    """The modules of ours that a file imports; a package only for a name that it defines itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else str(node.module) for name in inner.values()}
    return found & set(modules) - {"processor"}


def test_every_wing_has_its_place() -> None:
    wings = {
        path.name.removesuffix(".py")
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or any(path.rglob("*.py"))
    }

    assert wings - {"__init__"} <= set(ORDER)


@by_path
def test_arrows_go_one_way(path: Path) -> None:
    wing = wing_of(path)
    above = set() if wing == "__init__" else set(ORDER[: ORDER.index(wing)])
    if wing in VOCABULARY_ONLY:
        above = VOCABULARY

    assert wings_of(imports_of(path)) - {wing} <= above


def test_no_modules_import_each_other_in_a_circle() -> None:
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in MODULES}
    modules = {name.removesuffix(".__init__"): path for name, path in names.items()}
    arrows = {name: submodules_of(path, modules) - {name} for name, path in modules.items()}

    assert set(TopologicalSorter(arrows).static_order()) == set(modules)


@by_path
def test_a_library_is_imported_only_where_its_job_is(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    libraries = {name.partition(".")[0] for name in imports_of(path)} - {"processor", ""}

    strays = {
        library
        for library in libraries
        if (library in MAY_IMPORT or library not in sys.stdlib_module_names)
        and not place.startswith(MAY_IMPORT.get(library, ()))
    }

    assert not strays


def test_nothing_is_allowed_that_nobody_does() -> None:
    imported = {
        (name.partition(".")[0], path.relative_to(PACKAGE).as_posix())
        for path in MODULES
        for name in imports_of(path)
    }

    unused = {
        (library, place)
        for library, places in MAY_IMPORT.items()
        for place in places
        if not any(one == library and where.startswith(place) for one, where in imported)
    }

    assert not unused


@by_path
def test_imports_are_absolute(path: Path) -> None:
    relative = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert not relative


@by_path
def test_a_module_has_one_job_that_its_docstring_says(path: Path) -> None:
    text = path.read_text()

    assert len(text.splitlines()) < LINES
    if path.name not in {"__init__.py", "__main__.py"}:
        assert ast.get_docstring(ast.parse(text))


@by_path
def test_no_text_becomes_code(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert place in RUNS_CODE or not calls & RUNNING_CODE


def test_the_top_level_stays_small() -> None:
    entries = {path.name for path in ROOT.iterdir()} - LEFT_BY_TOOLS

    assert {name for name in entries if not name.endswith("_cache")} <= TOP_LEVEL
