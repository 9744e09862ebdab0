"""The pages in a real Chromium: readable, operable, and deaf to what records say."""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ViewportSize

from processor.errors import Code
from processor.local.programs import toml
from tests.integration.letters import HOSTILE, hostile_letter, letter
from tests.integration.page.conftest import METRICS, WORKER, Visit, task

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "</pre></td><style>*{display:none}</style>",
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">',
    '=cmd|"/c calc"!A1',
    "<a hx-get=//127.0.0.1:9/ hx-trigger=load>",
    HOSTILE,
)
"""B41 and B42 of the bad-input corpus."""

UNDECODED = b"\x00\x00\x00\x00\x07 secret-of-a-customer \xff\xfe"
"""B24: not to be decoded, so nothing of it is shown."""

PHONE = ViewportSize(width=360, height=740)
DESK = ViewportSize(width=1280, height=900)
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
TROUBLED = {
    **WORKER,
    "tasks": [
        task(0),
        task(1, waiting=[["ims", "IMS refuses the secret. Put the new one there.", True]]),
        task(2, "FAILED", trace="errors.tolerance is none, and a record is at fault."),
        task(3, waiting=[["experience_platform", "It answers 503; next try in 12 s.", False]]),
    ],
}


@pytest.fixture
def filled(letters_topic: str, produce: Any) -> str:
    """A dead-letter topic with something of everything; gives its name."""
    produce(
        letters_topic, [letter(n, message="expected type: Number") for n in range(30)], partition=0
    )
    produce(
        letters_topic, [hostile_letter(n, text) for n, text in enumerate(MARKUP, 100)], partition=0
    )
    undecoded = letter(
        200, code=Code.DECODE_UTF8, fingerprint="feedbeef0001", event_name=None, targets=(),
        value=UNDECODED, key=b"key-of-a-customer",
    )  # fmt: skip
    produce(letters_topic, [undecoded], partition=1)
    return letters_topic


def paths(topic: str) -> dict[str, str]:
    """Every page that can be opened by its address."""
    return {
        "overview": "/overview",
        "kinds": "/dead-letters",
        "letters": "/dead-letters?fingerprint=0123456789ab",
        "none": "/dead-letters?resolution=discarded",
        "letter": f"/dead-letters/{topic}/1/0",
        "replays": "/replays",
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_read_and_used(theme: str, filled: str, site: Any, visit: Any) -> None:
    """No finding of axe-core that is serious or critical; nothing to scroll sideways on a phone."""
    site.worker(TROUBLED)
    came: Visit = visit("admin", color_scheme=theme, viewport=PHONE)

    def check(name: str) -> None:
        wide = came.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], f"{name} is {wide} pixels wide"
        came.page.set_viewport_size(DESK)
        came.page.evaluate(AXE)
        found = [
            (rule["id"], rule["impact"], [node["html"][:120] for node in rule["nodes"]][:3])
            for rule in came.page.evaluate("axe.run()")["violations"]
            if rule["impact"] in {"serious", "critical"}
        ]
        assert found == [], f"{name} in {theme}"
        came.page.set_viewport_size(PHONE)

    for name, path in paths(filled).items():
        assert came.go(path).ok, path
        check(name)
    came.go(f"/dead-letters/{filled}/1/0")
    came.page.get_by_text("Show customer values").click()
    came.page.get_by_label("I need to see").check()
    came.page.get_by_role("button", name="Show them").click()
    came.page.get_by_text("Customer values are shown").wait_for()
    check("revealed")
    came.go("/dead-letters?fingerprint=0123456789ab")
    came.page.get_by_role("button", name="Discard").click()
    came.page.get_by_label("Why?").wait_for()
    check("discard")
    came.go(f"/dead-letters/{filled}/1/0")
    came.page.get_by_role("button", name="Plan a replay").click()
    came.page.get_by_text("Prediction", exact=True).wait_for()
    check("plan")


def test_what_a_record_says_stays_text(filled: str, visit: Any) -> None:
    came: Visit = visit("admin")

    came.go("/dead-letters")

    body = came.page.inner_text("body")
    for text in MARKUP[:-1]:
        assert text in body
    assert "evil" in body
    assert "\u202e" not in body
    assert (
        came.page.locator("main script, main style, main img, main svg, main iframe").count() == 0
    )
    assert came.page.locator("[hx-get]").count() == 0
    for number in range(len(MARKUP)):
        came.go(f"/dead-letters/{filled}/0/{30 + number}")
        came.page.wait_for_timeout(50)
        assert came.page.locator("main [onerror], main [onload], main img").count() == 0
        links = came.page.eval_on_selector_all("a", "all => all.map(a => a.href)")
        assert all(link.startswith(came.site.url) for link in links)
    # `visit` sees that there was no dialog, no request to elsewhere, and nothing in the console.


def test_what_cannot_be_decoded_is_shown_by_length_and_hash(
    filled: str, site: Any, visit: Any
) -> None:
    came: Visit = visit("view")

    came.go(f"/dead-letters/{filled}/1/0")

    page = came.page.content()
    assert f"{len(UNDECODED)} bytes" in came.page.inner_text("main")
    for word in ("secret-of-a-customer", "key-of-a-customer", UNDECODED.hex()[:16]):
        assert word not in page
        assert word not in site.get(f"/dead-letters/{filled}/1/0").text
    assert came.page.get_by_text("Show customer values").count() == 0
    assert site.post(f"/dead-letters/{filled}/1/0/reveal", "replay", sure="yes").status_code == 403


def test_a_reveal_asks_and_is_logged_with_who_and_which(filled: str, site: Any, visit: Any) -> None:
    came: Visit = visit("admin")
    came.go(f"/dead-letters/{filled}/1/0")
    assert came.page.get_by_role("button", name="Show them").is_hidden()
    came.page.get_by_text("Show customer values").click()
    came.page.get_by_role("button", name="Show them").click()  # the box is not ticked: stays
    assert "secret-of-a-customer" not in came.page.content()

    came.page.get_by_label("I need to see").check()
    came.page.get_by_role("button", name="Show them").click()

    came.page.get_by_text("key-of-a-customer").wait_for()
    assert UNDECODED.hex() in came.page.content()
    assert came.page.url == f"{site.url}/dead-letters/{filled}/1/0/reveal"
    revealed = [line for line in site.logged() if line["message"].startswith("Customer values")]
    assert [(line["who"], line["record"]) for line in revealed] == [
        ("admin@127.0.0.1", f"{filled}-1@0")
    ]
    assert "secret-of-a-customer" not in site.log.read_text()
    came.go(f"/dead-letters/{filled}/1/0")
    assert "key-of-a-customer" not in came.page.content()


def test_everything_can_be_done_with_the_keyboard(filled: str, visit: Any) -> None:
    came: Visit = visit("admin")
    came.go("/dead-letters")
    focused = "document.activeElement.name || document.activeElement.innerText"

    def tab() -> str:
        came.page.keyboard.press("Tab")
        width = came.page.evaluate(
            "parseFloat(getComputedStyle(document.activeElement).outlineWidth)"
        )
        assert width >= 2, "the focus cannot be seen"
        return str(came.page.evaluate(focused)).strip()

    order = [tab() for _ in range(9)]
    assert order[:5] == ["Skip to the content", "ours", "Overview", "Dead letters", "Replays"]
    assert order[5:] == ["Log out", "since", "resolution", "topic"]
    came.page.keyboard.press("Enter")  # in the field of the topic: the form is sent
    came.page.wait_for_url("**/dead-letters?*")
    while not tab().startswith("gate.violation"):
        pass
    came.page.keyboard.press("Enter")
    came.page.wait_for_url("**/dead-letters?fingerprint=*")
    came.go(f"/dead-letters/{filled}/1/0")
    while tab() != "Plan a replay":
        pass
    came.page.keyboard.press("Enter")
    came.page.get_by_text("Prediction", exact=True).wait_for()
    while tab() != "count":
        pass
    came.page.keyboard.type("1")
    assert tab() == "Replay 1"


def test_the_overview_is_brought_up_to_date_and_says_when_it_is_not(site: Any, visit: Any) -> None:
    came: Visit = visit("view")
    came.go("/overview")
    assert "Carrying records" in came.page.inner_text("h1")
    later = {**METRICS, 'processor_consumer_lag{topic="events",partition="0"}': 77_000}

    site.worker({**TROUBLED, "metrics": "".join(f"{k} {v}\n" for k, v in later.items())})

    came.page.get_by_text("1 of 4 tasks failed").wait_for()
    assert "77\u2009000" in came.page.inner_text("main")
    assert came.page.locator("#stale").is_hidden()
    site.close()
    came.page.get_by_text("no longer brought up to date").wait_for()
    came.page.goto("about:blank")  # which asks no more
    came.complaints.clear()  # the browser names the refused connections


def test_pages_work_without_scripts(filled: str, visit: Any) -> None:
    came: Visit = visit("replay", java_script_enabled=False)
    came.go("/overview")
    assert "Carrying records" in came.page.inner_text("h1")
    came.page.get_by_role("link", name="Dead letters", exact=True).click()
    came.page.get_by_role("link", name=re.compile("gate.violation pointsIssued")).click()
    rows = came.page.locator("tbody tr").count()
    came.page.get_by_role("link", name="Older").click()
    assert rows + came.page.locator("tbody tr").count() == 30
    came.page.get_by_role("link", name="Newest").click()

    came.page.get_by_role("button", name="Plan a replay").click()

    came.page.get_by_text("Prediction", exact=True).wait_for()


def test_another_site_cannot_send_our_forms(filled: str, site: Any, visit: Any) -> None:
    """A page elsewhere with a form that posts here: the cookie does not come along."""
    came: Visit = visit("admin")
    form = f'<form id=f method=post action="{site.url}/replays/plans"></form>'
    came.page.route("http://evil.example/", lambda route: route.fulfill(
        body=form, content_type="text/html"))  # fmt: skip
    came.page.goto("http://evil.example/")

    with came.page.expect_navigation():
        came.page.evaluate("document.getElementById('f').submit()")

    assert "Plan of a replay" not in came.page.title()
    cookies = came.page.context.cookies(site.url)
    assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")]
    came.complaints.clear()  # the other site itself, and our 403
    assert site.get("/replays").json() == {"replays": []}
    asked = [line for line in site.logged() if line.get("route") == "POST /replays/plans"]
    assert [line["status"] for line in asked] == [403]


def test_only_topics_of_the_connector_can_be_read(
    filled: str, site: Any, topic: str, broker: Any, fresh_name: Any, produce: Any
) -> None:
    other = broker.create_topic(fresh_name("others") + ".dlq", partitions=1)
    produce(other, [letter(0)])

    for name in (other, other.removesuffix(".dlq"), "__consumer_offsets", f"{topic}.state"):
        for path in (
            f"/dead-letters?topic={name}",
            f"/dead-letters?view=list&topic={name}",
            f"/dead-letters?view=list&before={name}:0-1",
            f"/dead-letters/{name}/0/0",
        ):
            assert site.get(path).status_code == 404, path
        made = site.post("/replays/plans", position=f"{name}:0:0").json()
        assert site.post("/dead-letters/discard", topic=name).status_code == 404
        assert made["stage"] in {"failed", "looking"}
        assert made["letters"] == 0
    for name in (topic, filled):
        assert site.get(f"/dead-letters?view=list&topic={name}").status_code == 200


def test_programs_see_what_the_command_line_prints(
    filled: str, site: Any, run_cli: Any, site_settings: dict[str, Any], tmp_path: Path
) -> None:
    config = tmp_path / "processor.toml"
    config.write_text(toml(site_settings))

    def printed(*arguments: str) -> list[dict[str, Any]]:
        ran = run_cli(*arguments, "--json", "--config", config)
        return [json.loads(line) for line in ran.stdout.splitlines()]

    kinds = site.get("/dead-letters").json()
    rows = site.get("/dead-letters?view=list").json()
    one = site.get(f"/dead-letters/{filled}/1/0").json()

    assert kinds["kinds"] == printed("dlq", "stats")
    assert kinds["letters"] == 41
    listed = {(r["partition"], r["offset"]): r for r in printed("dlq", "list", "--limit", "0")}
    assert all(listed[r["partition"], r["offset"]] == r for r in rows["letters"])
    more = site.get(f"/dead-letters?view=list&before={rows['before']}").json()
    assert len(rows["letters"]) + len(more["letters"]) == len(listed)
    assert [one] == printed("dlq", "show", filled, "1", "0")
    assert site.get("/replays").json() == {"replays": printed("replay", "list")}
