"""Records that wait for a writer schema; each schema is asked for once, and others go on.

The registry being away is the moment's fault, so the records wait for as long as it takes. An id
that the registry does not know is the record's fault, but only after a grace: a producer may
register its schema a moment after its first record became visible to us. A registry that refuses
us, or that the settings do not name, is the set-up's fault: they wait, and it is asked again.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from processor.connector.backoff import Backoff
from processor.connector.chains import Chain, Ordered, chain_of
from processor.connector.passage import Passage
from processor.connector.pauses import Pauses
from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.record import TopicPartition
from processor.schemas.avro import WriterSchema
from processor.schemas.decoder import RegistryMissing
from processor.schemas.wire import SchemaKey

GRACE_POLL_S = 2.0
"""How often, at most, an unknown id is asked for again during its grace."""

FETCHES_AT_ONCE = 8
"""Nonsense ids cost the registry no more than so many requests at a time."""

Resume = Callable[[Sequence[Passage]], None]
Place = Chain | tuple[TopicPartition, int]


class Registry(Protocol):
    """Where writer schemas come from."""

    async def fetch(self, key: SchemaKey) -> WriterSchema:
        """One attempt; raises TryAgain, Misconfigured or Refused."""


class NoRegistry:
    """What settings without a registry have instead: it says what is missing."""

    async def fetch(self, key: SchemaKey) -> WriterSchema:
        """Refuse.

        Raises:
            RegistryMissing: each time.
        """
        raise RegistryMissing(key)


class SchemaWaiting:
    """Holds records back until their writer schema is known, in order per key.

    Args:
        registry: asked for each schema once at a time.
        learn: told each schema, or why it is refused.
        grace_s: how long an unknown id is asked for before it is refused.
        ordered: what the targets ask for; if so, later records of a waiting record's key wait
            behind it, those without a key behind each other, or all of its partition.
    """

    def __init__(
        self,
        registry: Registry,
        learn: Callable[[SchemaKey, WriterSchema | Refused], None],
        *,
        grace_s: float,
        ordered: Ordered,
        backoff: Backoff,
        pauses: Pauses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._learn = learn
        self._grace_s = grace_s
        self._ordered = ordered
        self._backoff = backoff
        self._pauses = pauses
        self._clock = clock
        self._chains: dict[Place, list[Passage]] = {}
        self._by_schema: dict[SchemaKey, list[Place]] = {}
        self._asked: asyncio.Queue[tuple[SchemaKey, Resume]] = asyncio.Queue()
        self._free = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._fetches: dict[SchemaKey, asyncio.Task[None]] = {}

    def holds(self, passage: Passage) -> bool:
        """Whether an earlier record of the same key waits."""
        return bool(self._chains) and self._chain_of(passage) in self._chains

    def join(self, passage: Passage) -> None:
        """Wait behind the earlier record of the same key."""
        self._chains[self._chain_of(passage)].append(passage)

    def wait_for(self, key: SchemaKey, passage: Passage, resume: Resume) -> None:
        """Hold a record back until its schema is known; ``resume`` gets it with its followers.

        A record that is tried again (see :mod:`.brake`) may find a later one of its key here: it
        does not wait behind that, and does not take its place.
        """
        chain = self._chain_of(passage)
        if chain in self._chains:
            chain = (passage.partition, passage.record.offset)
        self._chains[chain] = [passage]
        if key in self._by_schema:
            self._by_schema[key].append(chain)
        else:
            self._by_schema[key] = [chain]
            self._asked.put_nowait((key, resume))

    def sweep(self, wanted: Callable[[Passage], bool]) -> None:
        """Drop the records that are not wanted any more: partitions were given back.

        A schema that nobody waits for now is not asked for any longer, and its pause is over.
        """
        for passages in self._chains.values():
            passages[:] = filter(wanted, passages)
        for key, chains in list(self._by_schema.items()):
            if not any(self._chains[chain] for chain in chains):
                for chain in self._by_schema.pop(key):
                    del self._chains[chain]
                if key in self._fetches:
                    self._fetches.pop(key).cancel()
                self._pauses.end("schema_registry", who=str(key))

    async def run(self) -> None:
        """Fetch what is wanted until cancelled."""
        async with asyncio.TaskGroup() as fetches:
            while True:
                key, resume = await self._asked.get()
                if key in self._by_schema and key not in self._fetches:
                    self._fetches[key] = fetches.create_task(self._fetch(key, resume))

    def _chain_of(self, passage: Passage) -> Place:
        return chain_of(passage, self._ordered) or (passage.partition, passage.record.offset)

    async def _fetch(self, key: SchemaKey, resume: Resume) -> None:
        self._learn(key, await self._verdict(key))
        del self._fetches[key]
        chains = [self._chains.pop(chain) for chain in self._by_schema.pop(key)]
        # At once and in order: else the lowest offsets would start last, and commits with them.
        resume(sorted(itertools.chain(*chains), key=lambda passage: passage.record.position))

    async def _verdict(self, key: SchemaKey) -> WriterSchema | Refused:
        attempts, unknown_since_s, who = 0, None, str(key)
        while True:
            attempts += 1
            wait_s = self._backoff.wait_s(attempts)
            try:
                async with self._free:
                    schema = await self._registry.fetch(key)
            except TryAgain as error:
                self._pauses.begin("schema_registry", str(error), who=who)
                wait_s = self._backoff.wait_s(attempts, error.retry_after_s)
            except Misconfigured as error:
                self._pauses.begin("schema_registry", str(error), who=who, of_setup=True)
            except Refused as error:
                self._pauses.end("schema_registry", who=who)
                if error.code is not Code.DECODE_UNKNOWN_SCHEMA_ID:
                    return error
                now_s = self._clock()
                unknown_since_s = now_s if unknown_since_s is None else unknown_since_s
                left_s = unknown_since_s + self._grace_s - now_s
                if left_s <= 0:
                    return error
                wait_s = min(GRACE_POLL_S, left_s)
            else:
                self._pauses.end("schema_registry", who=who)
                return schema
            await asyncio.sleep(wait_s)
