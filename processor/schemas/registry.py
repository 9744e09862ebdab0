"""A Confluent-compatible schema registry: writer schemas by id or GUID, and registering ours."""

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

import httpx

from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.schemas import limits
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.certificates import no_safe_way, own_authorities
from processor.schemas.inlining import defined_name, inline
from processor.schemas.wire import SchemaKey
from processor.settings import SchemaRegistrySettings, SecretValue

__all__ = ["SchemaKey", "SchemaRegistry", "subject_name"]

_TIMEOUT_S = 10.0
_WHOLE_S = 30.0
"""A registry that dribbles counts as away; httpx's own time-out is one for each read."""

_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_REASON = "schema_registry"
_REFERENCES_MAX = 200
_ANSWER_MAX_BYTES = 2 * limits.SCHEMA_TEXT_MAX_BYTES + 10_000
"""A schema's text is escaped inside the answer's JSON."""

_NOT_FOUND_CODES = range(40400, 40500)
"""The registry's own error codes for a subject, version or schema that it does not have; a 404
without one comes from something else that listens there."""


def subject_name(
    strategy: Literal["topic", "record", "topic_record"], topic: str, record_name: str
) -> str:
    """The subject that a topic's value schema is registered under.

    Source: Confluent's TopicName, RecordName and TopicRecordName strategies.
    """
    match strategy:
        case "topic":
            return f"{topic}-value"
        case "record":
            return record_name
        case "topic_record":
            return f"{topic}-{record_name}"


_SOME_ID = 1
"""Known or not, a registry answers in its own words."""


class _NoSuchPath(Misconfigured):
    """A 404 that is not in a registry's words."""


class SchemaRegistry:
    """Asks the registry once for each call; whoever calls waits and tries again.

    Args:
        settings: where the registry is, and who we are to it.
        transport: httpx's seam for tests.
        whole_s: for one request, from the connection to the last byte.
    """

    def __init__(
        self,
        settings: SchemaRegistrySettings,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        whole_s: float = _WHOLE_S,
    ) -> None:
        self._whole_s = whole_s
        self._url = settings.url.rstrip("/")
        self._shown = re.sub(r"//[^/]*@", "//", self._url)  # credentials stay out of messages
        self._username = settings.username
        self._password = SecretValue(
            settings.password, settings.password_file, key="schema_registry.password"
        )
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=own_authorities(settings.ca_file)
            if settings.ca_file
            else httpx.create_ssl_context(trust_env=False),
            timeout=_TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
            headers={"accept": f"{_CONTENT_TYPE}, application/json", "accept-encoding": "identity"},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch(self, key: SchemaKey) -> WriterSchema:
        """Fetch and vet a writer schema, with everything it refers to.

        Raises:
            TryAgain: the registry is away or overloaded.
            Misconfigured: it wants other credentials, or is no schema registry.
            Refused: ``decode.unknown_schema_id``, ``decode.wrong_schema_type`` or
                ``decode.schema_refused``.
        """
        if isinstance(key.id, uuid.UUID):
            found = await self._by_guid(key.id)
        else:
            found = await self._ask("GET", f"/schemas/ids/{key}")
        return await self._vetted(found, str(key))

    async def _vetted(self, found: Mapping[str, Any], name: str) -> WriterSchema:
        """The Avro schema of an answer, with everything it refers to."""
        kind = found.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise Refused(
                f"The schema {name} is of another type than Avro.",
                code=Code.DECODE_WRONG_SCHEMA_TYPE,
            )
        text = self._text(found)
        references = _references(found)
        if not references:
            return vet(text)
        library: dict[str, Any] = {}
        await self._collect(references, library, set())
        return vet(inline(_parsed(text), library))

    async def register(self, subject: str, avro: Mapping[str, Any]) -> int:
        """Register a self-contained schema, or find the id that it has already.

        Raises:
            TryAgain: the registry is away or overloaded.
            Misconfigured: it refuses the schema (409: incompatible with an earlier version), wants
                other credentials, or is no schema registry.
        """
        path = f"/subjects/{quote(subject, safe='')}/versions"
        answer = await self._ask("POST", path, {"schema": json.dumps(avro)})
        schema_id = answer.get("id")
        if type(schema_id) is not int:
            raise self._no_registry("it gave no id for a registered schema")
        return schema_id

    async def lookup(self, subject: str, avro: Mapping[str, Any]) -> int | None:
        """The id of a self-contained schema under a subject; `None` when it does not have it.

        Raises:
            TryAgain: the registry is away or overloaded.
            Misconfigured: it wants other credentials, or is no schema registry.
        """
        try:
            answer = await self._ask(
                "POST", f"/subjects/{quote(subject, safe='')}", {"schema": json.dumps(avro)}
            )
        except Refused:
            return None
        schema_id = answer.get("id")
        if type(schema_id) is not int:
            raise self._no_registry("it gave no id for a schema that it has")
        return schema_id

    async def latest(self, subject: str) -> WriterSchema | None:
        """The latest version of a subject, vetted; `None`: the registry does not have the subject.

        Raises:
            TryAgain: the registry is away or overloaded.
            Misconfigured: it wants other credentials, or is no schema registry.
            Refused: ``decode.wrong_schema_type`` or ``decode.schema_refused``.
        """
        try:
            found = await self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions/latest")
        except Refused as refused:
            if refused.code is Code.DECODE_UNKNOWN_SCHEMA_ID:
                return None
            raise
        return await self._vetted(found, subject)

    async def compatible(self, subject: str, avro: Mapping[str, Any]) -> bool | None:
        """Whether a subject would take a schema as its next version; `None`: it has no version yet.

        Raises:
            TryAgain: the registry is away or overloaded.
            Misconfigured: it wants other credentials, or is no schema registry.
        """
        path = f"/compatibility/subjects/{quote(subject, safe='')}/versions/latest"
        try:
            answer = await self._ask("POST", path, {"schema": json.dumps(avro)})
        except Refused:
            return None
        verdict = answer.get("is_compatible")
        if not isinstance(verdict, bool):
            raise self._no_registry("it does not say whether a schema is compatible")
        return verdict

    async def _by_guid(self, guid: uuid.UUID) -> dict[str, Any]:
        """A schema by GUID; a registry without that path does not have the schema.

        Only if it is a registry, which its answer to an id proves: a wrong URL must not convict
        records. Apicurio 2.6 has no GUIDs.
        """
        try:
            return await self._ask("GET", f"/schemas/guids/{guid}")
        except _NoSuchPath:
            with contextlib.suppress(Refused):
                await self._ask("GET", f"/schemas/ids/{_SOME_ID}")
            raise Refused(
                "The record names its schema by a GUID, and the schema registry has no GUIDs.",
                code=Code.DECODE_UNKNOWN_SCHEMA_ID,
            ) from None

    async def _collect(
        self, references: list[tuple[str, int]], library: dict[str, Any], seen: set[str]
    ) -> None:
        """Fetch referenced schemas into the library, each once, and theirs."""
        waiting = list(references)
        while waiting:
            subject, version = waiting.pop()
            path = f"/subjects/{quote(subject, safe='')}/versions/{version}"
            if path in seen:
                continue
            seen.add(path)
            if len(seen) > _REFERENCES_MAX:
                raise Refused(
                    f"The Avro schema is refused: it refers to more than {_REFERENCES_MAX} others.",
                    code=Code.DECODE_SCHEMA_REFUSED,
                )
            found = await self._ask("GET", path)
            document = _parsed(self._text(found))
            library[defined_name(document)] = document
            waiting.extend(_references(found))

    def _text(self, answer: Mapping[str, Any]) -> str:
        text = answer.get("schema")
        if not isinstance(text, str):
            raise self._no_registry("its answer holds no schema")
        return text

    async def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request and its answer's JSON object."""
        auth = (self._username, self._password.read()) if self._username else None
        try:
            request = self._client.build_request(
                method,
                self._url + path,
                content=None if body is None else json.dumps(body).encode(),
                headers={} if body is None else {"content-type": _CONTENT_TYPE},
            )
            async with asyncio.timeout(self._whole_s):
                response = await self._client.send(request, auth=auth, stream=True)
                try:
                    content = await self._content(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise TryAgain(
                f"The schema registry {self._shown} did not answer within {self._whole_s:g} s.",
                reason=_REASON,
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise self._no_registry("its URL is not one") from error
        except httpx.HTTPError as error:
            if (why := no_safe_way(error)) is not None:
                raise Misconfigured(
                    f"The schema registry {self._shown} cannot be reached safely: {why}.",
                    mend="Name its authority in schema_registry.ca_file, or correct "
                    "schema_registry.url.",
                    reason=_REASON,
                ) from error
            raise TryAgain(
                f"The schema registry {self._shown} cannot be reached ({type(error).__name__}).",
                reason=_REASON,
            ) from error
        answer = _json_object(content)
        if response.is_success:
            if answer is None:
                raise self._no_registry("its answer is not a JSON object")
            return answer
        raise self._fault(response, answer or {}, path)

    async def _content(self, response: httpx.Response) -> bytes:
        """The answer's bytes, never more than the limit and never decompressed."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise self._no_registry("its answer is compressed, which nobody asked for")
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > _ANSWER_MAX_BYTES:
                if response.is_success:
                    raise Refused(
                        f"The Avro schema is refused: the registry's answer is longer than "
                        f"{_ANSWER_MAX_BYTES} bytes.",
                        code=Code.DECODE_SCHEMA_REFUSED,
                    )
                break
        return bytes(content)

    def _fault(
        self, response: httpx.Response, answer: Mapping[str, Any], path: str
    ) -> TryAgain | Misconfigured | Refused:
        """Whose fault an answer is that is no success.

        The registry's own message is left out: it can quote what it was sent.
        """
        status = response.status_code
        says = answer.get("error_code")
        if status in {401, 403}:
            return Misconfigured(
                f"The schema registry {self._shown} refuses our credentials ({status}).",
                mend="Correct schema_registry.username and schema_registry.password.",
                reason=_REASON,
            )
        if status in {408, 429} or response.is_server_error:
            return TryAgain(
                f"The schema registry {self._shown} answered {status}.",
                reason=_REASON,
                retry_after_s=_seconds(response.headers.get("retry-after")),
            )
        if status == httpx.codes.NOT_FOUND and says in _NOT_FOUND_CODES:
            return Refused(
                "The schema registry does not have the schema that the record names.",
                code=Code.DECODE_UNKNOWN_SCHEMA_ID,
            )
        if status in {409, 422}:
            return Misconfigured(
                f"The schema registry refuses {path} ({status}).",
                mend="409 is a schema that its subject's earlier versions are not compatible "
                "with; 422 one that is not valid.",
                reason=_REASON,
            )
        kind = _NoSuchPath if status == httpx.codes.NOT_FOUND else Misconfigured
        return self._no_registry(f"{path} answered {status}", kind)

    def _no_registry(self, why: str, kind: type[Misconfigured] = Misconfigured) -> Misconfigured:
        return kind(
            f"{self._shown} does not answer like a schema registry: {why}.",
            mend="Correct schema_registry.url; a path such as /apis/ccompat/v7 belongs to it.",
            reason=_REASON,
        )


def _parsed(text: str) -> Any:
    """A schema's text as JSON; a bare name, as some registries store it, as that name."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _references(answer: Mapping[str, Any]) -> list[tuple[str, int]]:
    listed = answer.get("references") or []
    if not isinstance(listed, list):
        return []
    return [
        (entry["subject"], entry["version"])
        for entry in listed
        if isinstance(entry, dict)
        and isinstance(subject := entry.get("subject"), str)
        and subject.isprintable()  # half a surrogate pair has no place in a URL
        and type(entry.get("version")) is int
    ]


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
