"""The answers of the inlets, byte for byte in the shapes that Adobe documents."""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from processor.simulator.faults import MultiStatus
from processor.simulator.messages import Judgement
from processor.simulator.options import SimulatorOptions

JSON = "application/json"
_PROBLEM = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"
_AUTHORIZATION = "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization"

TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Authorization",
    403: "Authorization",
    404: "Not Found",
    408: "Request Timeout",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer before it travels."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON})


def of_json(status: int, content: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer."""
    return Reply(status, orjson.dumps(content), {"content-type": JSON, **(headers or {})})


def problem(
    status: int,
    message: str,
    *,
    title: str = "",
    cause: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A refusal of a whole request. Source: ``streaming-validation.md``."""
    report: dict[str, Any] = {"message": message}
    if cause:
        report["cause"] = {"_streamingValidation": cause}
    about_token = status in {401, 403}
    content = {
        "type": _AUTHORIZATION if about_token else _PROBLEM,
        "status": str(status) if about_token else status,
        "title": title or TITLES.get(status, "Error"),
        "report": report,
    }
    return of_json(status, content, headers)


class Writer:
    """Writes the answers with ids and times of their own."""

    def __init__(
        self,
        options: SimulatorOptions,
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._options = options
        self._wall_ms = wall_ms
        self._count = 0

    def single(self, inlet_id: str, judgement: Judgement, *, validation: str) -> Reply:
        """The answer to one message.

        Args:
            inlet_id: the inlet.
            judgement: of the message.
            validation: ``""``, or the query parameter that asked for synchronous validation.
        """
        if not judgement.accepted:
            return problem(
                judgement.status,
                judgement.message,
                title="Invalid XDM Message Format" if judgement.status == 400 else "",  # noqa: PLR2004
                cause=judgement.streaming_validation if judgement.cause else (),
            )
        content: dict[str, Any] = {
            "inletId": inlet_id,
            "xactionId": self._trace_id(self._options.id_form),
            "receivedTimeMs": self._wall_ms(),
            "syncValidation": {"skipped": True},
        }
        if validation:
            del content["syncValidation"]
            content[validation] = {"status": "pass"}
        return of_json(200, content)

    def batch(
        self, inlet_id: str, judgements: Sequence[Judgement], shape: MultiStatus | None = None
    ) -> Reply:
        """The answer to many messages: always 207, one entry per message, in position."""
        shape = shape or MultiStatus()
        form = shape.ids or self._options.id_form
        batch_id = self._trace_id(form)
        separator = ":" if form == "colon" else "-"
        entries = [
            self._entry(shape, judgement, f"{batch_id}{separator}{index}")
            for index, judgement in enumerate(judgements)
        ]
        content: dict[str, Any] = {
            "inletId": inlet_id,
            "batchId": batch_id,
            "receivedTimeMs": self._wall_ms(),
            "responses": _listed(shape, entries, f"{batch_id}{separator}{len(entries)}"),
        }
        if shape.responses == "missing":
            del content["responses"]
        return of_json(207, content)

    def _entry(self, shape: MultiStatus, judgement: Judgement, trace_id: str) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        key = shape.key or self._options.failure_key
        if shape.xaction_id == "all" or (shape.xaction_id == "accepted" and judgement.accepted):
            entry["xactionId"] = trace_id
        if judgement.accepted:
            if shape.accepted_status is not None:
                entry[key] = _written(shape.accepted_status, shape)
            return entry
        entry[key] = _written(judgement.status, shape)
        entry["message"] = judgement.message
        if judgement.cause:
            # Adobe documents violations for single messages only: the same report, in the entry.
            cause = {"_streamingValidation": judgement.streaming_validation}
            entry["report"] = {"message": judgement.message, "cause": cause}
        return entry

    def _trace_id(self, form: str) -> str:
        if form == "dash":
            return str(uuid.uuid4())
        self._count += 1
        return f"{self._wall_ms()}:{self._count}:{secrets.randbelow(1000)}"


def _written(status: int, shape: MultiStatus) -> int | str:
    return status if shape.value == "number" else str(status)


def _listed(shape: MultiStatus, entries: list[dict[str, Any]], next_id: str) -> Any:
    forms: dict[str, Any] = {
        "short": entries[:-1],
        "long": [*entries, {"xactionId": next_id}],
        "empty": [],
        "null": None,
        "object": {str(index): entry for index, entry in enumerate(entries)},
        "string": "accepted",
        "number": len(entries),
        "strings": ["accepted" for _ in entries],
        "nulls": [None for _ in entries],
    }
    return forms.get(shape.responses, entries)
