import io
import json

import pytest

from processor.cli.output import console, json_line, safe, tab_line


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    shown = safe("a\x1b]0;title\x07 [red]b[/red] \u202e", "green")

    assert shown.plain == r"a\x1b]0;title\x07 [red]b[/red] \u202e"


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    json_line({"topic": "a\nb\x1b", "partition": 0})

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert json.loads(out) == {"topic": "a\nb\x1b", "partition": 0}


def test_columns_hold_no_formula_no_line_break_and_no_tab(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tab_line(["=cmd()", "+1", "-x", "@x", "a\tb\nc", None, 0, ["=a", "b"], "x=1", -1])

    assert capsys.readouterr().out == ("'=cmd()\t'+1\t'-x\t'@x\ta\\tb\\nc\t-\t0\t'=a,b\tx=1\t-1\n")


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
