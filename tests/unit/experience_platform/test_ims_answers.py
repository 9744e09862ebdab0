import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from processor.errors import Misconfigured, TryAgain
from processor.experience_platform.exchange import Reply
from processor.experience_platform.ims_answers import (
    Granted,
    SecretRefused,
    lifetime_s,
    lifetime_unit,
    read_ims_answer,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CANARY = "canary-token"


def read(status: int, body: object, headers: dict[str, str] | None = None) -> object:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_ims_answer(Reply(status, httpx.Headers(headers), raw), NOW)


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [
        (86399, 86399.0),
        (86399994, 86399.994),
        (86399992, 86399.992),
        ("86399", 86399.0),
        ("86399994", 86399.994),
        (1_000_000, 86400.0),
        (1_000_001, 1000.001),
        (10**12, 86400.0),
        (10**400, 300.0),
        (2, 2.0),
        (0.25, 1.0),
        (0, 300.0),
        (-1, 300.0),
        ("-86399", 300.0),
        (None, 300.0),
        ("soon", 300.0),
        ("nan", 300.0),
        ("inf", 300.0),
        (True, 300.0),
        ([], 300.0),
    ],
)
def test_a_lifetime_is_seconds_whatever_unit_and_shape_it_came_in(
    expires_in: object, expected: float
) -> None:
    assert lifetime_s(expires_in) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expires_in", "unit"),
    [(86399, "s"), ("86399994", "ms"), (1_000_000, "s"), (1_000_001, "ms"), (0, None), ("x", None)],
)
def test_the_unit_is_told_as_it_was_understood(expires_in: object, unit: str | None) -> None:
    assert lifetime_unit(expires_in) == unit


def test_a_token_is_granted_and_hidden() -> None:
    granted = read(200, {"access_token": CANARY, "token_type": "bearer", "expires_in": 86399})

    assert granted == Granted(CANARY, 86399.0, "s")
    assert CANARY not in repr(granted)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        {},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\r\nX-Injected: 1"},
        {"access_token": "with blank"},
        {"access_token": "tökén"},
        {"access_token": "x" * 65_537},
    ],
)
def test_a_success_without_a_usable_token_is_the_moments_fault(body: object) -> None:
    with pytest.raises(TryAgain) as caught:
        read(200, body)

    assert caught.value.reason == "ims"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599, 101])
def test_ims_away_is_the_moments_fault_and_its_wait_is_kept(status: int) -> None:
    with pytest.raises(TryAgain) as caught:
        read(status, CANARY.encode(), {"Retry-After": "12"})

    assert caught.value.retry_after_s == 12.0
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_client", "error_description": "invalid client_secret parameter"}),
        (401, {"error": "invalid_client"}),
        (401, b"denied"),
        (403, b""),
    ],
)
def test_a_refused_secret_lets_the_next_one_be_tried(status: int, body: object) -> None:
    assert isinstance(read(status, body), SecretRefused)


@pytest.mark.parametrize(
    ("body", "mend"),
    [
        (
            {"error": "invalid_client", "error_description": "invalid client_id parameter"},
            "ims.client_id",
        ),
        ({"error": "invalid_scope"}, "ims.scopes"),
        ({"error": "unauthorized_client"}, "server-to-server"),
        ({"error": CANARY}, "ims.client_id"),
        ({"error": ["x"]}, "ims.client_id"),
        ({"message": CANARY}, "ims.client_id"),
    ],
)
def test_other_refusals_are_the_set_ups_fault(body: dict[str, Any], mend: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(400, body)

    assert mend in str(caught.value)
    assert caught.value.reason == "ims"
    assert CANARY not in str(caught.value)


def test_an_unreadable_refusal_is_the_moments_fault() -> None:
    with pytest.raises(TryAgain):
        read(400, b"<html>gateway</html>")


def test_an_error_that_passes_is_the_moments_fault() -> None:
    with pytest.raises(TryAgain):
        read(400, {"error": "temporarily_unavailable"})


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 405])
def test_a_wrong_address_is_the_set_ups_fault(status: int) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(status, b"", {"location": f"https://{CANARY}"})

    assert "ims.token_url" in str(caught.value)
    assert CANARY not in str(caught.value)
