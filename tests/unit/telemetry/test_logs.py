import base64
import io
import json
import logging
import subprocess
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import quote

import httpx
import pytest
import structlog

from processor.settings import LoggingSettings, SecretValue
from processor.telemetry.logs import QUIET, configure, get_logger, redact, register_secret

Start = Callable[..., io.StringIO]


@pytest.fixture
def start() -> Iterator[Start]:
    """Configures logs into a stream; afterwards they are as they were before."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}

    def with_settings(
        level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO",
        form: Literal["json", "console"] = "json",
        *secrets: str,
    ) -> io.StringIO:
        stream = io.StringIO()
        configure(LoggingSettings(level=level, format=form), secrets=secrets, stream=stream)
        return stream

    yield with_settings
    root.handlers, root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def secret() -> str:
    """A secret that no other test uses."""
    return f'canary "{uuid.uuid4()}"&+%=#'


def fail(text: str, **_held: str) -> None:
    raise ValueError(text) from KeyError(text)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_fields(start: Start) -> None:
    stream = start()

    get_logger("processor.connector").info("Started.", tasks=2, topics=["a", "b"])

    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "message": "Started.",
        "level": "info",
        "logger": "processor.connector",
        "tasks": 2,
        "topics": ["a", "b"],
    }


def test_the_level_is_honoured(start: Start) -> None:
    stream = start("WARNING")

    get_logger("processor.a").info("Not this.")
    get_logger("processor.a").warning("This.")

    assert [line["message"] for line in lines(stream)] == ["This."]


def test_the_level_of_one_logger_can_be_changed_while_running(start: Start) -> None:
    stream = start("WARNING")
    log = get_logger("processor.b")

    logging.getLogger("processor.b").setLevel("DEBUG")
    log.debug("This.")
    logging.getLogger("processor.b").setLevel(logging.NOTSET)

    assert [line["message"] for line in lines(stream)] == ["This."]


def test_lines_of_libraries_take_the_same_way(start: Start, secret: str) -> None:
    stream = start("DEBUG", "json", secret)

    logging.getLogger("some.library").debug("Sent %s to %s", secret, "host")

    (line,) = lines(stream)
    assert line["message"] == "Sent ******** to host"
    assert line["logger"] == "some.library"
    assert line["level"] == "debug"


def test_warnings_of_python_are_log_lines(start: Start) -> None:
    stream = start()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("Something is old.", stacklevel=1)

    assert "Something is old." in lines(stream)[0]["message"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_in_any_field_or_form(
    start: Start, secret: str, form: Literal["json", "console"]
) -> None:
    stream = start("DEBUG", form, secret)
    log = get_logger("processor.c").bind(bound=secret)
    structlog.contextvars.bind_contextvars(context=secret)
    sentence = f"A sentence with {secret} in it."

    log.info(
        sentence,
        clear=secret,
        url=quote(secret),
        coded=base64.b64encode(secret.encode()).decode(),
        document=json.dumps(secret),
        nested={"list": [secret], secret: 1},
        raw=secret.encode(),
    )
    try:
        fail(secret)
    except ValueError:
        log.exception("It failed.", stack_info=True)
        logging.getLogger("some.library").exception("It failed there too: %s", secret)

    shown = stream.getvalue()
    unique = secret.split('"')[1]
    assert "ValueError: ********" in shown
    assert unique not in shown
    assert base64.b64encode(unique.encode()).decode()[3:-4] not in shown


def test_no_local_variable_is_shown_on_a_terminal(start: Start) -> None:
    stream = start("INFO", "console")
    try:
        fail("The text.", customer_mail="asha" + str(2**10))
    except ValueError:
        get_logger("processor.d").exception("It failed.")

    assert "ValueError: The text." in stream.getvalue()
    assert "asha1024" not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_forges_a_line(start: Start, form: Literal["json", "console"]) -> None:
    stream = start("INFO", form)

    get_logger("processor.e").info("Took\nover \x1b[2J", topic="a\r\nb", **{"k\ney!": 1})

    shown = stream.getvalue()
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown


def test_a_stream_that_is_no_terminal_gets_no_colours(start: Start) -> None:
    stream = start("INFO", "console")

    get_logger("processor.f").warning("Plain.")

    assert "\x1b" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_colour", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours_unless_it_wants_none(
    start: Start, monkeypatch: pytest.MonkeyPatch, no_colour: str, *, coloured: bool
) -> None:
    start()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_colour)
    terminal = Terminal()
    configure(LoggingSettings(format="console"), stream=terminal)

    get_logger("processor.g").warning("Bright.")

    assert ("\x1b[" in terminal.getvalue()) is coloured


def test_secrets_that_are_read_later_are_masked_too(start: Start, tmp_path: Any) -> None:
    stream = start()
    (tmp_path / "secret").write_text("canary-read-later-4711")

    SecretValue(None, tmp_path / "secret").read()
    get_logger("processor.h").info("Using canary-read-later-4711.")

    assert lines(stream)[0]["message"] == "Using ********."


def test_a_registered_token_is_masked_in_other_texts_too() -> None:
    register_secret("token-canary-4712")

    assert redact("sent token-canary-4712") == "sent ********"


async def test_http_libraries_tell_nothing_below_a_warning(start: Start, secret: str) -> None:
    stream = start("DEBUG", "json", secret)

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="fine")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await client.post("https://ims/token", data={"client_secret": secret})

    assert stream.getvalue() == ""


def test_logs_before_they_are_configured_do_not_go_to_stdout() -> None:
    code = (
        "from processor.telemetry.logs import get_logger\n"
        "get_logger('processor.early').error('Early.')\n"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == ""


def test_every_line_says_whose_it_is(start: Start) -> None:
    stream = start()
    configure(LoggingSettings(), stream=stream, who={"task": 3})

    logging.getLogger("some.library").warning("Look.")
    get_logger("processor.x").warning("Here.")

    assert [line["task"] for line in lines(stream)] == [3, 3]
