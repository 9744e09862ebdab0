"""Capillary loyalty events from Kafka to Adobe Experience Platform, as XDM.

A record's journey, and where each step lives::

    kafka.source            polls records, on a thread of its own
    connector.pipeline      carries each record to its one ending; read this first
      schemas.decoder       bytes → event
      mapping.mapper        event → entities, one list a target
      experience_platform   identities and _id, gate, envelope
      connector.delivery    messages → requests → one outcome each
      connector.graveyard   what failed → dead letter, acknowledged
    connector.ledger        which offsets have ended, and so may be committed
    connector.task          the loop around all that; connector.supervisor keeps tasks alive

Beside it stand `operations` (what people ask for), `admin` (HTTP), `simulator` and
`local` (real parts on loopback), `demo` and `cli`. ``docs/architecture.md`` says more.
"""

__version__ = "0.1.0"
