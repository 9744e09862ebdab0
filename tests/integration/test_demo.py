"""The demo as a newcomer sees it: with ``--keep`` its page can be opened, until Ctrl-C."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from processor.local.broker import Broker
from processor.local.programs import clean_environment
from processor.local.registry import Registry


def test_what_is_kept_has_a_page_and_ends_at_ctrl_c(
    broker: Broker, registry: Registry, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    told = tmp_path / "told"
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": registry.url,
        "TMPDIR": str(tmp_path),
    }
    with told.open("w") as output:
        command = [sys.executable, "-m", "processor", "demo", "--keep", "--records", "100"]
        environment = {**clean_environment(), **given}
        with (
            subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            ) as demo,
            contextlib.ExitStack() as held,
        ):
            held.callback(demo.kill)
            eventually(
                lambda: "Everything is left running" in told.read_text() or demo.poll() is not None,
                timeout_s=180,
            )
            story = told.read_text()
            page = re.search(r"Page\. (http://127\.0\.0\.1:\d+/) ", story)
            token = re.search(r"Log in with what is in (\S+admin_token)\.", story)
            assert page, story[-2000:]
            assert token, story[-2000:]
            bearer = {"authorization": f"Bearer {Path(token[1]).read_text()}"}
            letters = httpx.get(
                f"{page[1]}dead-letters",
                headers={"accept": "text/html", **bearer},
                timeout=30,
                trust_env=False,
            )

            assert httpx.get(page[1], timeout=30, trust_env=False).status_code in {200, 401}
            assert letters.status_code == 200
            assert "gate.violation" in letters.text
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0

    assert not Path(token[1]).exists()
