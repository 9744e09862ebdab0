"""The shape of a scripted fault: what the simulator does instead of, or besides, answering."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

Scope = Literal["ims", "single", "batch", "collection", "schemas"]
MOST_FAULTS = 10_000
_REFUSED_FROM = 400
"""HTTP's own border."""


class Shape(BaseModel):
    """A part of a fault: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Match(Shape):
    """Which messages a fault means; every key that is given has to fit."""

    identity: str | list[str] = Field(default_factory=list[str])
    event_id: str | list[str] = Field(default_factory=list[str])
    id: str | list[str] = Field(default_factory=list[str], alias="_id")
    positions: list[int] = []
    """Places in the request from 0; negative ones count from the end."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.identity or self.event_id or self.id or self.positions):
            raise ValueError("give identity, event_id, _id or positions")
        return self


class Refuse(Shape):
    """The answer to single messages, within a 207 or to a single request."""

    status: Annotated[int, Field(ge=400, le=599)] = 400
    message: str = "Message is invalid"


class MultiStatus(Shape):
    """How the body of a 207 is written. Defaults: as the simulator was started."""

    key: Literal["status", "statusCode"] | None = None
    value: Literal["number", "string"] = "number"
    ids: Literal["colon", "dash"] | None = None
    xaction_id: Literal["accepted", "all", "none"] = "accepted"
    accepted_status: int | None = None
    """A status on the entries of accepted messages too."""
    responses: Literal[
        "complete", "short", "long", "empty", "missing", "null",
        "object", "string", "number", "strings", "nulls",
    ] = "complete"  # fmt: skip


class Fault(Shape):
    """One fault. ``docs/simulator.md`` describes every key."""

    scope: Scope
    count: PositiveInt | Literal["until_reset"] | None = None
    after: NonNegativeInt = 0
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    inlet: str = ""
    match: Match | None = None

    latency_ms: NonNegativeFloat = 0.0
    jitter_ms: NonNegativeFloat = 0.0
    answer_latency_ms: NonNegativeFloat = 0.0
    read_bytes_per_s: PositiveInt | None = None
    write_bytes_per_s: PositiveInt | None = None
    refuse: Refuse | None = None

    accept: bool | None = None
    status: Annotated[int, Field(ge=200, le=999)] | None = None
    body: Any = None
    content_type: str = ""
    headers: dict[str, str] = {}
    retry_after: str | int | float | None = None
    redirect: str = ""
    raw: str = ""
    gzip_bomb_bytes: PositiveInt | None = None
    endless: bool = False
    connection: Literal["reset", "close", "cut", "hang", "close_idle"] | None = None
    multi_status: MultiStatus | None = None

    expires_in: Any = None
    expires_in_unit: Literal["ms", "s"] | None = None
    omit_expires_in: bool = False
    token_lifetime_s: PositiveFloat | None = None

    expire_tokens: bool = False
    revoke_secret: Annotated[int, Field(ge=0, le=1)] | Literal["all"] | None = None

    @property
    def at_once(self) -> bool:
        """Whether the fault acts when it is posted, and not on a request."""
        return self.expire_tokens or self.revoke_secret is not None

    @property
    def uses(self) -> int | None:
        """On how many requests it acts; `None`: until reset."""
        if self.count is None:
            return None if self.match is not None else 1
        return None if self.count == "until_reset" else self.count

    @property
    def has_body(self) -> bool:
        """Whether a body was given; ``null`` is one."""
        return "body" in self.model_fields_set

    @property
    def replaces_answer(self) -> bool:
        """Whether the fault itself says what the answer is, or that there is none."""
        return (
            self.status is not None
            or self.has_body
            or bool(self.redirect or self.raw)
            or self.endless
            or self.gzip_bomb_bytes is not None
            or self.connection in {"reset", "close", "hang"}
        )

    @property
    def accepts(self) -> bool:
        """Whether messages are judged and taken although the fault acts."""
        if self.accept is not None:
            return self.accept
        return not self.replaces_answer or self._shapes_207

    @property
    def tells(self) -> bool:
        """Whether a whole answer still says of each message what was decided."""
        if self.replaces_answer or self.content_type:
            return False
        shape = self.multi_status
        return shape is None or (
            shape.responses == "complete"
            and shape.xaction_id != "none"
            and (shape.accepted_status is None or shape.accepted_status < _REFUSED_FROM)
        )

    @property
    def decides(self) -> bool:
        """Whether this is the one fault that a request can have for its answer."""
        return (
            self.replaces_answer
            or self.connection is not None
            or self.multi_status is not None
            or self.retry_after is not None
            or bool(self.headers or self.content_type)
            or self.token_lifetime_s is not None
            or self.omit_expires_in
            or self.expires_in_unit is not None
            or "expires_in" in self.model_fields_set
        )

    @property
    def _shapes_207(self) -> bool:
        only_status = not self.has_body and self.connection is None
        return self.multi_status is not None and only_status

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        self._check_scope()
        self._check_answer()
        if self.read_bytes_per_s is not None and self.match is not None:
            raise ValueError("read_bytes_per_s acts before messages are known: leave out match")
        if self.at_once and self.model_fields_set - {"scope", "expire_tokens", "revoke_secret"}:
            raise ValueError("expire_tokens and revoke_secret act at once: no other key goes along")
        acts = self.decides or self.at_once or self.refuse is not None
        if not acts and not (
            self.latency_ms
            or self.jitter_ms
            or self.answer_latency_ms
            or self.read_bytes_per_s
            or self.write_bytes_per_s
        ):
            raise ValueError("it says when, but not what: give status, latency_ms, connection …")
        return self

    def _check_scope(self) -> None:
        of_ims = {
            "expires_in", "expires_in_unit", "omit_expires_in", "token_lifetime_s",
            "expire_tokens", "revoke_secret",
        }  # fmt: skip
        of_inlets = {"inlet", "match", "refuse", "multi_status"}
        unknown = {"ims": of_inlets, "schemas": of_ims | of_inlets}.get(self.scope, of_ims)
        wrong = self.model_fields_set & unknown
        if self.scope == "single" and "multi_status" in self.model_fields_set:
            wrong.add("multi_status")
        if wrong:
            raise ValueError(f"scope {self.scope} knows no {', '.join(sorted(wrong))}")

    def _check_answer(self) -> None:
        ways = {
            "redirect": bool(self.redirect),
            "raw": bool(self.raw),
            "gzip_bomb_bytes": self.gzip_bomb_bytes is not None,
            "endless": self.endless,
            "body": self.has_body,
            "multi_status": self.multi_status is not None,
        }
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are two answers: give one")
        if self.connection in {"reset", "close", "hang"} and (given or self.status is not None):
            raise ValueError(f"connection {self.connection} gives no answer: leave out the rest")


class BadFaults(ValueError):
    """What was posted is no list of faults; the message names the key."""


def read_faults(document: bytes) -> list[Fault]:
    """The faults of a request body: ``{"faults": […]}``, a list, or one fault.

    Raises:
        BadFaults: not JSON, or a key or value that no fault has.
    """
    try:
        given = orjson.loads(document)
    except ValueError as error:
        raise BadFaults(f"The body is not JSON: {error}.") from error
    if isinstance(given, dict) and "faults" in given:
        if extra := given.keys() - {"faults"}:
            raise BadFaults(f"{', '.join(sorted(extra))}: unknown key beside faults.")
        given = given["faults"]
    items = given if isinstance(given, list) else [given]
    if not 0 < len(items) <= MOST_FAULTS:
        raise BadFaults(f"faults: give between 1 and {MOST_FAULTS} faults.")
    faults = []
    for index, item in enumerate(items):
        try:
            faults.append(Fault.model_validate(item))
        except ValidationError as error:
            raise BadFaults(_said(f"faults[{index}]", error)) from error
    return faults


def _said(place: str, error: ValidationError) -> str:
    return " ".join(_sentence(place, dict(problem)) for problem in error.errors())


def _sentence(place: str, problem: Mapping[str, Any]) -> str:
    steps = [str(step) for step in problem["loc"] if step in _KEYS or isinstance(step, int)]
    if problem["type"] != "extra_forbidden":
        text = str(problem["msg"]).removeprefix("Value error, ")
        return f"{'.'.join([place, *steps])}: {text}."
    key = str(problem["loc"][-1])
    near = difflib.get_close_matches(key, sorted(_KEYS), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{'.'.join([place, *(s for s in steps if s != key), key])}: unknown key.{hint}"


_KEYS = frozenset(
    field.alias or name
    for shape in (Fault, Match, Refuse, MultiStatus)
    for name, field in shape.model_fields.items()
)
