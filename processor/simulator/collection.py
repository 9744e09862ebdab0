"""The inlets: ``POST /collection/{inlet}`` and ``POST /collection/batch/{inlet}``."""

import zlib
from collections import deque

import orjson

from processor.simulator.answers import Reply, problem
from processor.simulator.doors import Asked, Doorway
from processor.simulator.messages import MANDATORY, Judgement, mark_of
from processor.simulator.script import Door, Plan
from processor.simulator.world import World

_MINUTE_S = 60.0
_SYNC_PARAMETERS = ("syncValidation", "synchronousValidation")


class CollectionDoor(Doorway):
    """An inlet, for one message (``single``) or for many (``batch``)."""

    def __init__(self, world: World, door: Door) -> None:
        super().__init__(world)
        self.door = door
        self.usual_status = 207 if door == "batch" else 200
        self._validated_at: dict[str, deque[float]] = {}

    def understand(self, asked: Asked) -> Reply | None:
        """Find the messages; the refusal for size, encoding or JSON, if one is due."""
        refusal = self._unpack(asked) or self._parse(asked)
        asked.marks = [mark_of(message) for message in asked.messages]
        asked.entry.messages = len(asked.messages)
        return refusal

    def honest(self, asked: Asked, plan: Plan, refusal: Reply | None) -> Reply:
        """Adobe's answer; accepted messages are remembered."""
        world = self.world
        state, asked.entry.token = world.ims.number_of(asked.headers.get("authorization"))
        turned_away = self._turned_away(asked, state) or refusal or self._checked_setup(asked)
        if turned_away is not None:
            return turned_away
        parameter = next((p for p in _SYNC_PARAMETERS if asked.query.get(p) == "true"), "")
        if self.door == "batch":
            judgements = self._judge(asked, plan, synchronous=False)
            shape = plan.answer.multi_status if plan.answer is not None else None
            return world.writer.batch(asked.inlet, judgements, shape)
        if parameter and (limited := self._limited(asked.inlet)) is not None:
            return limited
        (judgement,) = self._judge(asked, plan, synchronous=bool(parameter))
        return world.writer.single(asked.inlet, judgement, validation=parameter)

    def _judge(self, asked: Asked, plan: Plan, *, synchronous: bool) -> list[Judgement]:
        world, judgements = self.world, []
        refusals = plan.refusal_of(asked.marks)
        synchronous = synchronous or world.options.validation == "sync"
        flow_id = asked.headers.get("x-adobe-flow-id") or asked.query.get("x-adobe-flow-id")
        now = world.now()
        for index, (message, mark) in enumerate(zip(asked.messages, asked.marks, strict=True)):
            body = orjson.dumps(message)
            if (refuse := refusals.get(index)) is not None:
                judgement = Judgement(mark, refuse.status, refuse.message)
            else:
                judgement = world.inlets.judge(
                    asked.inlet,
                    message,
                    mark,
                    size_bytes=len(body),
                    now=now,
                    synchronous=synchronous,
                    flow_id=flow_id,
                )
            world.received.message(asked.entry, judgement, body)
            judgements.append(judgement)
        return judgements

    def _unpack(self, asked: Asked) -> Reply | None:
        limit = self.limit_bytes()
        encoding = asked.headers.get("content-encoding", "identity").lower()
        if len(asked.body) <= limit and encoding == "gzip" and self.world.options.gzip_requests:
            try:
                asked.body = zlib.decompressobj(wbits=31).decompress(asked.body, limit + 1)
            except zlib.error:
                return problem(400, f"inletId: [{asked.inlet}] The body is not gzip")
        elif encoding != "identity":
            return problem(415, f"inletId: [{asked.inlet}] Content-Encoding is not supported")
        if len(asked.body) > limit:
            return problem(413, f"inletId: [{asked.inlet}] The request exceeds {limit} bytes")
        return None

    def _parse(self, asked: Asked) -> Reply | None:
        try:
            document = orjson.loads(asked.body)
        except ValueError:
            return problem(400, f"inletId: [{asked.inlet}] The body is not valid JSON")
        if self.door == "single":
            asked.messages = [document]
            return None
        messages = document.get("messages") if isinstance(document, dict) else None
        if not isinstance(messages, list) or not messages:
            return problem(400, MANDATORY.format("messages"))
        asked.messages = messages
        return None

    def _turned_away(self, asked: Asked, state: str) -> Reply | None:
        options = self.world.options
        if options.authentication and state == "missing":
            return problem(401, f"[{asked.inlet}] Ims service token is empty")
        if options.authentication and state == "invalid":
            status = options.invalid_token_status
            return problem(status, f"[{asked.inlet}] Ims service token is invalid or expired")
        if not self.world.inlets.exists(asked.inlet):
            return problem(404, f"inletId: [{asked.inlet}] There is no such inlet")
        kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/x-jackson-smile":
            return problem(415, "Adobe reads Smile, this simulator reads application/json only")
        if kind != "application/json":
            return problem(415, "The content type has to be application/json")
        return None

    def _checked_setup(self, asked: Asked) -> Reply | None:
        if self.world.options.require_sandbox and not asked.headers.get("x-sandbox-name"):
            return problem(400, MANDATORY.format("x-sandbox-name"))
        return None

    def _limited(self, inlet_id: str) -> Reply | None:
        """The answer to a synchronous validation that is not offered, or asked for too often."""
        options = self.world.options
        if not options.sync_validation_offered:
            return problem(501, "Synchronous validation is not supported in this location")
        now = self.world.clock()
        past = self._validated_at.setdefault(inlet_id, deque())
        while past and now - past[0] >= _MINUTE_S:
            past.popleft()
        if len(past) >= options.sync_validations_per_minute:
            limit = options.sync_validations_per_minute
            return problem(429, f"inletId: [{inlet_id}] More than {limit} validations a minute")
        past.append(now)
        return None
