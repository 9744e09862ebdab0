"""Everything one simulator consists of, wired together."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from processor.simulator.answers import Writer
from processor.simulator.ims import Ims
from processor.simulator.messages import Inlets
from processor.simulator.options import SimulatorOptions
from processor.simulator.received import Received
from processor.simulator.script import Script
from processor.simulator.xdm import XdmSchemas


@dataclass(slots=True)
class World:
    """The parts that the doors share.

    Attributes:
        clock: monotonic seconds, of tokens and limits.
        now: the wall clock, in UTC, of timestamps that lie in the future.

    Raises:
        Misconfigured: the schemas cannot be used.
    """

    options: SimulatorOptions
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    schemas: XdmSchemas = field(init=False)
    inlets: Inlets = field(init=False)
    ims: Ims = field(init=False)
    script: Script = field(init=False)
    received: Received = field(init=False)
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        self.schemas = XdmSchemas(self.options.schemas_directory)
        self.inlets = Inlets(self.options, self.schemas)
        self.ims = Ims(self.options, clock=self.clock)
        self.script = Script(self.options.seed)
        self.received = Received(self.options, clock=self.clock)
        self.writer = Writer(self.options)
