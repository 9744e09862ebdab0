"""Puts faults into a connector's processes: on ``PYTHONPATH``, each interpreter runs it at start.

What a record's bytes hold says what happens when it is decoded:

==================  ==============================================================================
``poison:crash``    the process reads from address 0 and dies of it, as native code does
``poison:defect``   it raises what nobody foresaw, outside what the decoder guards
``poison:hang``     it never comes back
``poison:block``    the event loop stands still for `BLOCK_S`, once a process, then goes on
==================  ==============================================================================

``POISON_STANDSTILL_S`` shortens how long a task may stand still at a record.
"""

import ctypes
import os
import time

from processor.connector import vigil
from processor.record import Event, Record
from processor.schemas.decoder import Decoder

BLOCK_S = 15.0

_decode = Decoder.decode
_blocked = False


def decode(self: Decoder, record: Record) -> Event:
    """As the decoder does, unless the record is poison."""
    global _blocked  # noqa: PLW0603 - once a process
    value = record.value or b""
    if b"poison:crash" in value:
        ctypes.string_at(0)
    if b"poison:defect" in value:
        raise AssertionError("nobody foresaw this")
    if b"poison:hang" in value:
        while True:
            time.sleep(1)
    if b"poison:block" in value and not _blocked:
        _blocked = True
        time.sleep(BLOCK_S)
    return _decode(self, record)


Decoder.decode = decode  # type: ignore[method-assign] # this is what it is for
vigil.STANDSTILL_S = float(os.environ.get("POISON_STANDSTILL_S", vigil.STANDSTILL_S))
