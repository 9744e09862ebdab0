import io
import json

import pytest

from processor.cli.output import console, json_line, safe


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    shown = safe("a\x1b]0;title\x07 [red]b[/red] \u202e", "green")

    assert shown.plain == r"a\x1b]0;title\x07 [red]b[/red] \u202e"


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    json_line({"topic": "a\nb\x1b", "partition": 0})

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert json.loads(out) == {"topic": "a\nb\x1b", "partition": 0}


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, no_colour: str, *, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_colour)
    written = Terminal()

    console(file=written).print(safe("bad", "red"))

    assert ("\x1b[" in written.getvalue()) is coloured


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
