"""What the simulator pretends to be: credentials, inlets, limits, and how it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from processor.errors import Misconfigured
from processor.settings.models import ExperiencePlatformSettings

MOST_SECRETS = 2
"""Adobe's limit per credential. Source: Adobe Developer Console, server-to-server guide."""

Validation = Literal["sync", "async"]
FailureKey = Literal["status", "statusCode"]
IdForm = Literal["colon", "dash"]


@dataclass(frozen=True, slots=True)
class Inlet:
    """A streaming connection: what AEP knows about the messages that come through it.

    Attributes:
        inlet_id: the last part of the URL.
        schema: file of the XDM schema, or the name of one in the schemas directory (``event``).
        schema_id: what ``schemaRef.id`` has to be; `None`: any.
        dataset_id: what ``header.datasetId`` has to be; `None`: any.
        org_id: what ``header.imsOrgId`` has to be; `None`: the simulator's.
        flow_id: what the flow id has to be, where one is given; `None`: any.
        target: name of the target in the connector's settings; only for reading.
    """

    inlet_id: str
    schema: str
    schema_id: str | None = None
    dataset_id: str | None = None
    org_id: str | None = None
    flow_id: str | None = None
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything that can be chosen when a simulator starts; the defaults suit a first try.

    Attributes:
        client_id: the only client that IMS knows; `None`: any client, and the first secret that a
            client shows becomes its secret. Another one is refused, until the first is revoked.
        client_secrets: one or two valid secrets of that client, as Adobe allows.
        token_lifetime_s: seconds until a token really stops being accepted.
        org_id: ``{24 hex}@AdobeOrg`` of every inlet without one of its own; `None`: any
            well-formed organisation passes, and an absent one is refused.
        tenant: tenant id, so that fields stand under ``_{tenant}``; `None`: any one name.
        schemas_directory: folder with XDM schemas as JSON; `None`: the product's own.
        inlets: the inlets there are; any other is 404. Empty: every inlet id exists, and its
            schema is found by ``schemaRef.id``, by the inlet's name, or by the entity's shape.
        validation: ``sync`` answers XDM violations at once; ``async`` accepts the message and
            lists it as failed afterwards.
        authentication: `False`: inlets without ``authenticationRequired`` take any request.
        invalid_token_status: Adobe's pages disagree about an invalid or expired token.
        failure_key: how a failed entry of a 207 names its status: ``statusCode`` as documented,
            ``status`` as observed.
        id_form: how message ids end: ``…:3`` or ``…-3``.
        sync_validation_offered: `False`: 501, as outside Adobe's VA7 location.
        require_sandbox: `True`: a request without ``x-sandbox-name`` is refused.
        gzip_requests: `False`: 415 for ``Content-Encoding: gzip``, which Adobe does not document.
        namespaces: identity namespaces that exist; empty: any.
        request_limit_bytes: larger requests are 413.
        event_limit_bytes: larger events are accepted, and then dropped by Profile.
        record_limit_bytes: likewise for records of the profile class.
        sync_validations_per_minute: per inlet, then 429.
        received_limit: messages remembered; older ones are forgotten, repeats among them too.
        message_bytes_limit: bytes of message bodies remembered; further ones are listed without.
        requests_limit: requests remembered one by one; the counts stay exact.
        keep_alive_s: seconds until an idle connection is closed.
        seed: of the faults with a probability or a jitter.
    """

    client_id: str | None = None
    client_secrets: Sequence[str] = field(default=(), repr=False)
    token_lifetime_s: float = 86_400.0
    org_id: str | None = None
    tenant: str | None = None
    schemas_directory: Path | None = None
    inlets: Sequence[Inlet] = ()
    validation: Validation = "sync"
    authentication: bool = True
    invalid_token_status: Literal[401, 403] = 403
    failure_key: FailureKey = "statusCode"
    id_form: IdForm = "colon"
    sync_validation_offered: bool = True
    require_sandbox: bool = False
    gzip_requests: bool = True
    namespaces: Sequence[str] = ()
    request_limit_bytes: int = 1_000_000
    event_limit_bytes: int = 10_000
    record_limit_bytes: int = 100_000
    sync_validations_per_minute: int = 60
    received_limit: int = 1_000_000
    message_bytes_limit: int = 256_000_000
    requests_limit: int = 10_000
    keep_alive_s: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.client_id is None and self.client_secrets:
            raise Misconfigured("The simulator's client secrets need the client id they belong to.")
        fewest = 0 if self.client_id is None else 1
        if not fewest <= len(self.client_secrets) <= MOST_SECRETS or not all(self.client_secrets):
            raise Misconfigured(
                "The simulator's client needs one or two secrets, none of them empty:"
                " Adobe allows at most two at a time."
            )
        if self.token_lifetime_s <= 0:
            raise Misconfigured("The simulator's token lifetime has to be above 0 seconds.")

    @classmethod
    def for_platform(
        cls,
        platform: ExperiencePlatformSettings,
        *,
        client_id: str | None = None,
        client_secrets: Sequence[str] = (),
        schemas_directory: Path | None = None,
    ) -> Self:
        """Options that know exactly the organisation and the targets of a connector's settings.

        A target without ``xdm_schema`` gets the schema of its own name from the schemas directory.

        Raises:
            Misconfigured: a client id without one or two secrets, or the other way round.
        """
        return cls(
            client_id=client_id,
            client_secrets=tuple(client_secrets),
            org_id=platform.org_id,
            tenant=platform.tenant,
            schemas_directory=schemas_directory,
            inlets=tuple(
                Inlet(
                    inlet_id=target.inlet_id,
                    schema=target.xdm_schema or name,
                    schema_id=target.schema_id,
                    dataset_id=target.dataset_id,
                    flow_id=target.flow_id or None,
                    target=name,
                )
                for name, target in platform.targets.items()
            ),
        )
