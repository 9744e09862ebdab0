"""A tenant's XDM schemas, from the Schema Registry API of Experience Platform."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from processor.errors import Misconfigured, TryAgain
from processor.experience_platform.exchange import (
    NoReply,
    Reply,
    checked_header,
    checked_url,
    exchange,
    open_client,
)
from processor.experience_platform.ims import Token
from processor.experience_platform.retry_after import retry_after_s
from processor.settings.models import ExperiencePlatformSettings

ACCEPT = "application/vnd.adobe.xed-full+json; version=1"
"""The whole schema in JSON Schema form, its parts put in; version 1 is the newest of major 1."""

PATH = "/data/foundation/schemaregistry/tenant/schemas/"
ANSWER_CAP_BYTES = 32_000_000
"""A schema with many field groups has a few megabytes."""

_TIMEOUT_S = 30.0
_REASON = "experience_platform"
_KEY = "experience_platform"
_TOO_MANY = 429


class TokenNotTaken(Exception):
    """Experience Platform answered 401: another token may do."""


class XdmRegistry:
    """Asks for one schema at a time; each call is one request.

    Args:
        platform: the table ``[experience_platform]``.
        client_id: of the IMS credential; goes out as ``x-api-key``.
        transport: instead of real connections, in tests.
        now: wall clock, for a ``Retry-After`` that is a date.

    Raises:
        Misconfigured: an endpoint that is not safe to send a token to, or a setting that cannot
            stand in a header.

    Source: domain facts 4.8 (path, ``Accept``) and 3.6 (the gateway's answers).
    """

    def __init__(
        self,
        platform: ExperiencePlatformSettings,
        client_id: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        origin = checked_url(
            platform.platform_endpoint,
            key=f"{_KEY}.platform_endpoint",
            allow_http=platform.allow_http,
        )
        self._host = origin.host
        self._base = str(origin).rstrip("/") + PATH
        self._sandbox = platform.sandbox_name
        self._headers = {
            "accept": ACCEPT,
            "x-api-key": checked_header(client_id, key="ims.client_id"),
            "x-gw-ims-org-id": checked_header(platform.org_id, key=f"{_KEY}.org_id"),
            "x-sandbox-name": checked_header(platform.sandbox_name, key=f"{_KEY}.sandbox_name"),
        }
        self._client = open_client(
            ca_file=platform.ca_file, proxy=platform.proxy, transport=transport
        )
        self._now = now

    async def fetch(self, schema_id: str, token: Token) -> dict[str, Any]:
        """One schema in JSON Schema form, by its ``$id``.

        Raises:
            TokenNotTaken: 401.
            TryAgain: Experience Platform is away, or asks to wait (429).
            Misconfigured: it refuses us or the request, or has no such schema in this sandbox.
        """
        request = self._client.build_request(
            "GET",
            self._base + quote(schema_id, safe=""),
            headers={**self._headers, "authorization": f"Bearer {token.value}"},
        )
        reply = await exchange(
            self._client, request, timeout_s=_TIMEOUT_S, cap_bytes=ANSWER_CAP_BYTES
        )
        if isinstance(reply, NoReply):
            raise self._unreached(reply)
        if httpx.codes.is_success(reply.status):
            return _schema(reply, schema_id)
        raise self._refusal(reply, schema_id)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _unreached(self, reply: NoReply) -> TryAgain | Misconfigured:
        said = f"The Schema Registry API at {self._host} cannot be reached: {reply.why}."
        mend = f"Check {_KEY}.platform_endpoint, ca_file and proxy."
        if reply.kind in {"tls", "proxy"}:
            return Misconfigured(said, mend=mend, reason=_REASON)
        return TryAgain(f"{said} {mend}", reason=_REASON)

    def _refusal(self, reply: Reply, schema_id: str) -> Exception:
        """What an answer that is no success means; its own words may echo what was sent."""
        status = reply.status
        match status:
            case 401:
                return TokenNotTaken()
            case 403:
                return Misconfigured(
                    "The Schema Registry API refuses the credential (403): it has no right to read "
                    f"schemas in the sandbox {self._sandbox}, or belongs to another organisation.",
                    mend="Give the credential a role with View Schemas in that sandbox, and check "
                    f"ims.client_id, {_KEY}.org_id and {_KEY}.sandbox_name.",
                    reason=_REASON,
                )
            case 404:
                return Misconfigured(
                    f"The sandbox {self._sandbox} has no schema {schema_id} (404).",
                    mend=f"Check the schema id (the $id of the schema) and {_KEY}.sandbox_name.",
                    reason=_REASON,
                )
            case 408 | 429 | 500 | 502 | 503 | 504:
                asked = "asks to wait" if reply.status == _TOO_MANY else "is away"
                return TryAgain(
                    f"The Schema Registry API {asked} ({status}).",
                    reason=_REASON,
                    retry_after_s=retry_after_s(reply.headers, self._now()),
                )
        return Misconfigured(
            f"The Schema Registry API does not take the request ({status}).",
            mend=f"Check {_KEY}.platform_endpoint, org_id and sandbox_name.",
            reason=_REASON,
        )


def _schema(reply: Reply, schema_id: str) -> dict[str, Any]:
    try:
        document = None if reply.fault else json.loads(reply.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        why = reply.fault or "it is no JSON object"
        raise TryAgain(f"The Schema Registry API's answer is of no use: {why}.", reason=_REASON)
    if document.get("$id") != schema_id:
        raise Misconfigured(
            f"The Schema Registry API answered with another schema than {schema_id}.",
            mend=f"Check {_KEY}.platform_endpoint, and write the schema id as its $id stands.",
            reason=_REASON,
        )
    return dict(document)
