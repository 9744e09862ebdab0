"""What the pages answer, over a desk whose answers the test sets."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.admin.page.render import POLICY
from processor.errors import Misconfigured
from processor.operations.desk.letters import Kinds, Letters, Place
from processor.operations.letters.fields import fields_of
from processor.record import Position
from tests.unit.admin.conftest import BROWSER
from tests.unit.admin.shown import REPLAY_ID, discarding, found, kind, one, planned, replay

PROGRAM = {"accept": "application/json"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}{% raw %}\u202e\x1b[2J'


class Tags(HTMLParser):
    """The tags of a page, and what no page may have."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.links: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._script = tag in {"script", "style"} and "src" not in named
        if self._script or tag in {"iframe", "object", "embed", "base"}:
            self.inline.append(tag)
        self.inline += [name for name in named if name.startswith("on") or name == "style"]
        places = ("href", "src", "action", "hx-get", "hx-post")
        self.links += [value or "" for name, value in attrs if name in places]


async def text_of(client: httpx.AsyncClient, path: str, *, status: int = 200) -> str:
    async with client:
        answer = await client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def everything(desk: Any, client: httpx.AsyncClient, text: str) -> list[str]:
    """Every page, with this text wherever a text can come from outside."""
    desk.answers = {
        "kinds": Kinds([kind(text)], 1, 3, 2, 9),
        "letters": Letters(
            [fields_of(found(1, message=text, event_name=text, targets=(text,)), resolution=text)],
            (Position("events.dlq", 0, 1),), 9, cut=True,
        ),
        "letter": one(text),
        "replays": [replay(text), replay(text, kind="records", status="failed")],
        "replay": replay(text),
        "describe_discard": discarding(text),
        "plan": planned(3, text),
    }  # fmt: skip
    async with client:
        answers = [
            await client.get(path)
            for path in (
                "/overview", "/dead-letters", "/dead-letters?fingerprint=x",
                "/dead-letters/events.dlq/0/0", "/replays", f"/replays/{REPLAY_ID}",
                "/dead-letters?since=" + "x", "/dead-letters?topic=events&code=y",
            )
        ]  # fmt: skip
        answers.append(await client.post("/dead-letters/discard", data={"fingerprint": text}))
        answers.append(
            await client.post("/replays/plans", data={"fingerprint": "x"}, follow_redirects=True)
        )
        desk.answers["letter"] = {
            **one(text),
            "value": {"bytes": 5, "sha256": text, "hex": text},
            "headers": [{"name": text, "bytes": 5, "sha256": text, "value": text}],
        }
        answers.append(
            await client.post("/dead-letters/events.dlq/0/0/reveal", data={"sure": "yes"})
        )
    assert [a.status_code for a in answers] == [200] * 6 + [400] + [200] * 4
    return [answer.text for answer in answers]


async def test_whatever_a_record_holds_is_text(desk: Any, browser: Any, worker: Any) -> None:
    tags = re.compile(r"<[a-z!/][^>]*>", re.IGNORECASE)
    plain = await everything(desk, browser("admin"), "calm")

    hostile = await everything(desk, browser("admin"), HOSTILE)

    for calm, page in zip(plain, hostile, strict=True):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "49" not in re.findall(r">([^<]*)<", page)
        assert "\u202e" not in page
        assert "\x1b" not in page
        names = [tag.split()[0] for tag in tags.findall(page)]
        assert names == [tag.split()[0] for tag in tags.findall(calm)]
    assert sum("&lt;script&gt;alert(1)" in page for page in hostile) >= 8


async def test_no_page_has_scripts_or_styles_within(desk: Any, browser: Any) -> None:
    for page in await everything(desk, browser("admin"), HOSTILE):
        tags = Tags(page)

        assert tags.inline == []
        assert all(link.startswith(("/", "#")) or not link for link in tags.links), tags.links
        assert not any(link.startswith("//") for link in tags.links)


async def test_the_headers_of_a_page(desk: Any, browser: Any) -> None:
    desk.answers["kinds"] = Kinds([], 0, 0, 0, 0)
    async with browser("view") as client:
        answer = await client.get("/dead-letters")
        wrong = await client.get("/dead-letters?since=x")
        script = await client.get("/static/htmx.min.js")

    for one_ in (answer, wrong):
        assert one_.headers["content-security-policy"] == POLICY
        assert one_.headers["cache-control"] == "no-store"
        assert one_.headers["x-content-type-options"] == "nosniff"
        assert one_.headers["x-frame-options"] == "DENY"
        assert one_.headers["referrer-policy"] == "same-origin"
    assert POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert script.headers["x-content-type-options"] == "nosniff"
    assert script.headers["content-type"].startswith("text/javascript")


async def test_a_browser_gets_pages_and_a_program_json(desk: Any, browser: Any) -> None:
    desk.answers |= {"kinds": Kinds([kind()], 0, 3, 3, 3), "replays": [replay()]}
    async with browser("view") as client:
        for path, key in (("/dead-letters", "kinds"), ("/replays", "replays")):
            page = await client.get(path)
            document = await client.get(path, headers=PROGRAM)
            either = await client.get(path, headers={"accept": "*/*"})

            assert page.headers["content-type"].startswith("text/html")
            assert next(iter(document.json())) == key
            assert either.json() == document.json()
            assert document.headers["cache-control"] == "no-store"


async def test_a_browser_comes_to_the_overview_and_a_program_to_connects_root(
    browser: Any,
) -> None:
    async with browser("view") as client:
        page = await client.get("/")
        document = await client.get("/", headers=PROGRAM)

    assert (page.status_code, page.headers["location"]) == (303, "/overview")
    assert "kafka_cluster_id" in document.json()


async def test_who_has_not_logged_in_is_asked_for_a_token(
    ask: Any, token_files: dict[str, Path]
) -> None:
    async with ask(**token_files) as client:
        page = await client.get("/dead-letters?fingerprint=ff&code=%22", headers=BROWSER)
        document = await client.get("/replays", headers=PROGRAM)

    assert (page.status_code, document.status_code) == (401, 401)
    assert 'name="next" value="/dead-letters?fingerprint=ff&amp;code=%22"' in page.text
    assert 'type="password"' in page.text
    assert document.json()["error_code"] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dead-letters?since=P1000000D", 400),
        ("/dead-letters?resolution=gone", 400),
        ("/dead-letters?topic=..%2fetc", 400),
        (f"/dead-letters?fingerprint={'x' * 300}", 400),
        ("/dead-letters?fingerprint=x&before=events.dlq:0", 400),
        ("/dead-letters?fingerprint=x&before=a/b:0-1", 400),
        ("/dead-letters?fingerprint=x&before=t:0-99999999999999999999", 400),
        ("/dead-letters/events.dlq/0/99999999999999999999", 404),
        ("/dead-letters/events.dlq/-1/0", 404),
        ("/dead-letters/events.dlq/0/²", 404),
        ("/dead-letters/a%00b/0/0", 404),
        ("/dead-letters/..%2f..%2fetc/0/0", 404),
        ("/static/..%2frender.py", 404),
        ("/static/render.py", 404),
    ],
)
async def test_what_cannot_be_is_refused_before_kafka_is_asked(
    path: str, status: int, desk: Any, browser: Any
) -> None:
    async with browser("admin") as client:
        answer = await client.get(path)

    assert answer.status_code == status
    assert desk.asked == []


async def test_what_is_not_ours_is_not_found_and_kafka_away_is_said(
    desk: Any, browser: Any
) -> None:
    desk.answers["letter"] = Misconfigured("That is no topic of this connector.")
    async with browser("view") as client:
        other = await client.get("/dead-letters/__consumer_offsets/0/0")
        away = await client.get("/dead-letters")

    assert other.status_code == 404
    assert "no topic of this connector" in other.text
    assert away.status_code == 503
    assert "No Kafka broker answers" in away.text


async def test_a_letter_is_masked_unless_its_reveal_was_asked_for(desk: Any, browser: Any) -> None:
    desk.answers["letter"] = one()
    place = Position("events.dlq", 0, 0)
    async with browser("admin") as client:
        await client.get("/dead-letters/events.dlq/0/0?reveal=yes&sure=yes")
        unsure = await client.post("/dead-letters/events.dlq/0/0/reveal", data={"sure": ""})
        await client.post("/dead-letters/events.dlq/0/0/reveal", data={"sure": "yes"})

    assert unsure.status_code == 400
    assert [asked for _, asked in desk.asked] == [
        Place(place),
        Place(place, reveal=True, who="admin@127.0.0.1"),
    ]


async def test_a_role_is_not_offered_what_it_may_not_do(desk: Any, browser: Any) -> None:
    desk.answers["letter"] = {**one(), "resolution": None}
    path = "/dead-letters/events.dlq/0/0"

    view = await text_of(browser("view"), path)
    replays = await text_of(browser("replay"), path)
    admin = await text_of(browser("admin"), path)

    assert "Plan a replay" not in view
    assert "needs the role <strong>replay</strong>" in view
    assert "Plan a replay" in replays
    assert "Show them" not in replays
    assert "Show them" in admin


async def test_discarding_needs_the_number_and_a_reason(desk: Any, browser: Any) -> None:
    desk.answers |= {
        "describe_discard": discarding(),
        "discard": discarding(execute=True, discarded=3),
    }
    async with browser("replay") as client:
        asked = await client.post("/dead-letters/discard", data={"fingerprint": "ff"})
        no_reason = await client.post(
            "/dead-letters/discard", data={"fingerprint": "ff", "count": "3"}
        )
        no_number = await client.post(
            "/dead-letters/discard", data={"fingerprint": "ff", "count": "all", "reason": "r"}
        )
        assert [work for work, _ in desk.asked] == ["describe_discard"]
        done = await client.post(
            "/dead-letters/discard", data={"fingerprint": "ff", "count": "3", "reason": "old"}
        )

    assert (no_reason.status_code, no_number.status_code) == (400, 400)
    assert "Discard 3 dead letters?" in asked.text
    assert "3 dead letters are discarded" in done.text
    _, discarded = desk.asked[-1]
    assert (discarded.confirmed, discarded.wanted.reason) == (3, "old")
    assert (discarded.wanted.by, discarded.wanted.which.fingerprint) == ("replay@127.0.0.1", "ff")
