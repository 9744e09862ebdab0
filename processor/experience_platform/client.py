"""Sends requests to the streaming inlets of Experience Platform; one attempt, one answer."""

import asyncio
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from processor.experience_platform.answers import (
    Answer,
    Away,
    SetupFault,
    Unreadable,
    read_answer,
)
from processor.experience_platform.exchange import (
    NoReply,
    Reply,
    checked_header,
    checked_url,
    exchange,
    open_client,
)
from processor.experience_platform.ims import Token
from processor.settings.models import DeliverySettings, ExperiencePlatformSettings

ANSWER_CAP_BYTES = 4_000_000
"""500 verdicts take about 25 KB, 500 refusals with five violations each about 600 KB."""

GZIP_LEVEL = 1
"""8.0 times smaller at 6 us a message; level 6 makes 9.2 times at 15 us (measured)."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Collection:
    """The batch endpoints of all targets, behind one origin.

    Args:
        platform: the table ``[experience_platform]``.
        delivery: the table ``[delivery]``.
        client_id: of the IMS credential; goes out as ``x-api-key``.
        transport: instead of real connections, in tests.
        now: wall clock, for a ``Retry-After`` that is a date.

    Raises:
        Misconfigured: an endpoint that is not safe to send a token to, or a setting that cannot
            stand in a header.

    Source: domain facts 3.1 (endpoints and headers).
    """

    def __init__(
        self,
        platform: ExperiencePlatformSettings,
        delivery: DeliverySettings,
        client_id: str = "",
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        key = "experience_platform"
        origin = checked_url(
            platform.endpoint, key=f"{key}.endpoint", allow_http=platform.allow_http
        )
        base = str(origin).rstrip("/")
        common = {
            "content-type": "application/json",
            "x-gw-ims-org-id": checked_header(platform.org_id, key=f"{key}.org_id"),
            "x-sandbox-name": checked_header(platform.sandbox_name, key=f"{key}.sandbox_name"),
        }
        if client_id:
            common["x-api-key"] = checked_header(client_id, key="ims.client_id")
        self._gzip = delivery.compression == "gzip"
        if self._gzip:
            common["content-encoding"] = "gzip"
        self._urls: dict[str, httpx.URL] = {}
        self._validating: dict[str, httpx.URL] = {}
        self._headers: dict[str, dict[str, str]] = {}
        for name, target in platform.targets.items():
            self._urls[name] = httpx.URL(f"{base}/collection/batch/{target.inlet_id}")
            self._validating[name] = httpx.URL(
                f"{base}/collection/{target.inlet_id}?syncValidation=true"
            )
            self._headers[name] = common
            if target.flow_id:
                flow_id = checked_header(target.flow_id, key=f"{key}.targets.{name}.flow_id")
                self._headers[name] = {**common, "x-adobe-flow-id": flow_id}
        self._timeout_s = delivery.request_timeout_s
        self._client = open_client(
            ca_file=platform.ca_file, proxy=platform.proxy, transport=transport
        )
        self._now = now

    async def post(
        self, target: str, body: bytes, *, sent: int, token: Token, traceparent: str = ""
    ) -> Answer:
        """Send one request and read its answer; network trouble is an answer too.

        Args:
            target: name of a configured target.
            body: the request body, ``{"messages": […]}`` as UTF-8 JSON.
            sent: how many messages it holds.
            token: goes out as ``Authorization``.
            traceparent: goes out as the header of that name; empty: there is none.

        Raises:
            KeyError: there is no such target.
        """
        if self._gzip:
            # Compressing 500 KB takes about 3 ms; zlib lets go of the interpreter meanwhile.
            body = await asyncio.to_thread(zlib.compress, body, GZIP_LEVEL, 31)
        headers = {**self._headers[target], "authorization": f"Bearer {token.value}"}
        if traceparent:
            headers["traceparent"] = traceparent
        request = self._client.build_request(
            "POST", self._urls[target], content=body, headers=headers
        )
        reply = await exchange(
            self._client, request, timeout_s=self._timeout_s, cap_bytes=ANSWER_CAP_BYTES
        )
        if isinstance(reply, NoReply):
            return _without_reply(reply)
        if reply.fault and httpx.codes.is_success(reply.status):
            return Unreadable(reply.fault, reply.status)
        return read_answer(reply.status, reply.headers, reply.body, sent=sent, now=self._now())

    async def validate(self, target: str, message: bytes, *, token: Token) -> Reply | NoReply:
        """Ask for the verdict on one message at once; one that is refused is dropped.

        Args:
            target: name of a configured target.
            message: ``{"header": …, "body": …}`` as UTF-8 JSON.
            token: goes out as ``Authorization``.

        Raises:
            KeyError: there is no such target.

        Source: domain facts 3.1 and 3.6: the single endpoint only, 60 a minute, 501 where Adobe
        does not offer it.
        """
        headers = {**self._headers[target], "authorization": f"Bearer {token.value}"}
        headers.pop("content-encoding", None)
        request = self._client.build_request(
            "POST", self._validating[target], content=message, headers=headers
        )
        return await exchange(
            self._client, request, timeout_s=self._timeout_s, cap_bytes=ANSWER_CAP_BYTES
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _without_reply(reply: NoReply) -> Answer:
    match reply.kind:
        case "tls":
            return SetupFault(
                f"Experience Platform cannot be reached safely: {reply.why}.",
                "Check experience_platform.endpoint, experience_platform.ca_file and this host's "
                "clock.",
            )
        case "proxy":
            return SetupFault(
                f"Experience Platform cannot be reached: {reply.why}.",
                "Check experience_platform.proxy and its credentials.",
            )
        case "timeout":
            return Away("timeout", may_have_arrived=True)
        case "broken":
            return Away("network", may_have_arrived=True)
        case "unreached":
            return Away("network")
