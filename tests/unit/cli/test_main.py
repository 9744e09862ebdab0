import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import processor
from processor.cli import app as application
from processor.cli import explain
from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.telemetry.logs import register_secret

Command = Callable[..., Any]


def test_the_version_is_shown(command: Command) -> None:
    assert command("--version") == (0, f"processor {processor.__version__}\n", "")


def test_help_lists_the_commands_in_order(command: Command) -> None:
    ran = command("--help")

    listed = re.findall(r"^│ (\w+) ", ran.out, flags=re.MULTILINE)
    known = [name for name in application.ORDER if name in listed]
    assert ran.status == 0
    assert [name for name in listed if name in application.ORDER] == known
    assert {"run", "check", "simulator"} <= set(listed)


def test_without_a_command_help_is_shown_and_the_usage_is_wrong(command: Command) -> None:
    ran = command()

    assert ran.status == 2
    assert "Usage: processor" in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--confg", "x"], "No such option: --confg"),
        (["simulator"], "Missing option '--port'"),
        (["simulator", "--port", "x"], "Invalid value for '--port'"),
        (["check", "extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_exits_with_2(command: Command, arguments: list[str], sentence: str) -> None:
    ran = command(*arguments)

    assert ran.status == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", ["run", "check"])
def test_a_missing_settings_file_exits_with_2(command: Command, name: str) -> None:
    ran = command(name, "--config", "/no/such/file")

    assert ran.status == 2
    assert ran.out == ""
    assert ran.err == (
        "There is no settings file /no/such/file. Correct --config or PROCESSOR_CONFIG.\n"
    )


def test_wrong_settings_are_told_line_by_line(
    command: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSOR_TASKS_MAX", "0")
    monkeypatch.setenv("PROCESSOR_NAM", "x")

    ran = command("run", "--config", str(settings_file))

    assert ran.status == 2
    assert ran.err.splitlines()[1:] == [
        "  PROCESSOR_NAM: no setting has this variable; did you mean PROCESSOR_NAME?",
        "  tasks_max (from PROCESSOR_TASKS_MAX): give a whole number above 0.",
    ]


@pytest.mark.parametrize(
    ("raised", "status", "sentence"),
    [
        (Misconfigured("It is wrong.", mend="Mend it."), 2, "It is wrong. Mend it.\n"),
        (TryAgain("Kafka is away.", reason="kafka"), 1, "Kafka is away.\n"),
        (Refused("It is bad.", code=Code.DECODE_JSON), 1, "It is bad.\n"),
        (Misconfigured("A \x1b[2J topic."), 2, "A \\x1b[2J topic.\n"),
        (Misconfigured("One:\n  two"), 2, "One:\n  two\n"),
        (ExceptionGroup("tasks", [ValueError("x"), Misconfigured("Ours.")]), 2, "Ours.\n"),
        (
            ExceptionGroup("tasks", [TryAgain("Away.", reason="ims"), Misconfigured("Ours.")]),
            2,
            "Ours.\n",
        ),
        (
            ExceptionGroup("a", [ExceptionGroup("b", [TryAgain("Away.", reason="ims")])]),
            1,
            "Away.\n",
        ),
    ],
)
def test_a_known_failure_is_one_sentence(
    capsys: pytest.CaptureFixture[str], raised: Exception, status: int, sentence: str
) -> None:
    assert explain(raised, debug=False) == status
    assert capsys.readouterr().err == sentence


def test_an_unexpected_failure_does_not_tell_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise KeyError("asha@example.com")

    with pytest.raises(KeyError) as caught:
        fail()
    status = explain(caught.value, debug=False)

    shown = capsys.readouterr().err
    assert status == 1
    assert "asha" not in shown
    assert "Traceback" not in shown
    assert re.match(
        r"Something unexpected happened: KeyError in test_main\.py, line \d+\. "
        r"Run it again with PROCESSOR_DEBUG=1",
        shown,
    )


def test_debugging_adds_the_traceback_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    register_secret("canary-of-debugging")

    explain(ValueError("canary-of-debugging"), debug=True)

    shown = capsys.readouterr().err
    assert "ValueError: ********" in shown
    assert "canary" not in shown


def test_a_secret_in_a_sentence_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    register_secret("canary-of-sentences")

    explain(Misconfigured("Wrong: canary-of-sentences."), debug=False)

    assert capsys.readouterr().err == "Wrong: ********.\n"


def test_an_interrupt_exits_with_130(program: Command, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "import processor.cli.app as app\n"
        "def command():\n"
        "    return lambda **_: os.kill(os.getpid(), signal.SIGINT)\n"
        "app.command = command\n"
        "import processor.cli\n"
        # Whoever starts the tests in the background may have had SIGINT ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "processor.cli.main()\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_an_interrupt_while_it_still_imports_is_no_traceback() -> None:
    code = (
        "import os, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'processor.settings':\n"
        "            sys.meta_path.remove(self)\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv = ['processor', '--version']\n"
        "from processor.cli import main\n"
        "main()\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


def test_a_reader_that_leaves_is_no_traceback(settings_file: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", '"$0" -m processor --help | true; echo "${PIPESTATUS[0]}"', sys.executable],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.stderr == ""
    assert ran.stdout.strip() in {"0", "1"}


def test_the_module_is_a_program(program: Command) -> None:
    assert program("--version") == (0, f"processor {processor.__version__}\n", "")


def test_output_that_is_no_terminal_has_no_colours(program: Command, settings_file: Path) -> None:
    ran = program("check", "--offline", "--config", str(settings_file))

    assert "\x1b" not in ran.out + ran.err


def test_service_links_give_one_warning(program: Command, settings_file: Path) -> None:
    ran = program(
        "check",
        "--offline",
        "--config",
        str(settings_file),
        environ={"PROCESSOR_PORT": "tcp://10.0.0.1:80", "PROCESSOR_SERVICE_HOST": "10.0.0.1"},
    )

    assert ran.status == 0
    assert ran.err.count("Kubernetes") == 1
    assert '"variables": ["PROCESSOR_PORT", "PROCESSOR_SERVICE_HOST"]' in ran.err


@pytest.fixture
def shown_help(command: Command) -> dict[str, str]:
    """The help of each of our commands."""
    return {name: command(name, "--help").out for name in ("run", "check", "simulator")}


def test_each_command_has_an_example_that_it_understands(shown_help: dict[str, str]) -> None:
    group: Any = application.command()

    for name, text in shown_help.items():
        (examples,) = re.findall(r"Examples?: (.+)", text)
        for example in examples.split(" · "):
            program, *words = example.split()
            parsed = group.commands[words[0]].make_context(words[0], words[1:])
            assert (program, words[0]) == ("processor", name)
            assert parsed.params
