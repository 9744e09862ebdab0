"""The watch over printed secrets, which itself must not fall silent."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest


@pytest.fixture
def watch(canary: Any) -> Any:
    return type(canary)()


def test_nothing_printed_is_no_leak(watch: Any) -> None:
    watch.printed("a command", "all is well")

    assert watch.leaks([]) == []


@pytest.mark.parametrize("form", [str, quote, quote_plus, lambda secret: quote(secret, safe="")])
def test_a_secret_is_found_in_every_form_that_a_url_gives_it(watch: Any, form: Any) -> None:
    secret = watch.watch_for("s3cret+/=%& of the test")

    watch.printed("a command", f"?client_secret={form(secret)}&x=1")

    assert watch.leaks([])


def test_a_secret_is_found_in_a_log(watch: Any, tmp_path: Path) -> None:
    log = tmp_path / "connector.txt"
    log.write_text(f'{{"event": "{watch.client_secret}"}}\n')

    (leak,) = watch.leaks([log])

    assert "connector.txt" in leak
    assert watch.client_secret not in leak


def test_an_access_token_is_known_by_its_shape(watch: Any) -> None:
    watch.printed("a command", f"Authorization: Bearer {'aB3_-' * 17}x")

    assert watch.leaks([]) == ["a command: an access token"]


def test_a_customers_address_is_found_in_a_log_and_where_nobody_asked_for_it(
    watch: Any, tmp_path: Path
) -> None:
    log = tmp_path / "connector.txt"
    log.write_text("member7@example.com\n")
    watch.printed("processor map event.json", "member7@example.com")
    watch.printed("processor dlq show 0:1 --reveal", "member7@example.com")
    watch.printed("processor dlq show 0:1", "member7@example.com")

    by_command, by_log = watch.leaks([log])

    assert by_command == "processor dlq show 0:1: a customer's address"
    assert "connector.txt" in by_log
