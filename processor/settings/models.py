"""Every setting: its name, unit, default and reason. Frozen; a misspelt name is an error."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from processor.settings.masking import flat_properties, hide_secret_properties
from processor.settings.topics import fill, is_own

HEX_ORG = r"^[0-9A-Za-z]{24}@AdobeOrg$"

Properties = Annotated[
    dict[str, Any], BeforeValidator(lambda given: hide_secret_properties(flat_properties(given)))
]
"""librdkafka properties; the values of secret ones are wrapped, so that no repr shows them."""


class Section(BaseModel):
    """A table of the settings file. Errors never show the value that was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_left_out(cls, given: object, info: ValidationInfo) -> object:
        """``ca_file = ""`` is no file, not the current directory."""
        field = cls.model_fields[info.field_name or ""]
        return None if given == "" and field.default is None else given


class KafkaSettings(Section):
    """Where records come from, and how every Kafka client connects."""

    bootstrap_servers: Annotated[
        str, Field(min_length=1, description="host:port, several separated by commas")
    ]
    topics: list[str] = []
    topics_regex: str = ""
    group_id: str = ""
    """Empty: ``connect-<name>``, as Kafka Connect names its groups."""
    auto_offset_reset: Literal["earliest", "latest"] = "earliest"
    on_offset_out_of_range: Literal["pause", "earliest", "latest"] = "pause"
    properties: Properties = {}
    """librdkafka properties of every client; ``<property>_file`` reads a secret from a file."""
    consumer: Properties = {}
    producer: Properties = {}


class ConverterSettings(Section):
    """How bytes become events."""

    value: Literal["auto", "avro", "json"] = "auto"
    on_unknown_event: Literal["dead_letter", "filter"] = "dead_letter"
    on_unmapped_event: Literal["dead_letter", "filter"] = "filter"
    on_null_value: Literal["filter", "dead_letter"] = "filter"


class CapillarySettings(Section):
    """Which Capillary organisations are ours."""

    org_ids: list[int] = []


class SchemaRegistrySettings(Section):
    """A Confluent-compatible schema registry."""

    url: Annotated[str, Field(min_length=1, description="https://host:port")]
    username: str = ""
    password: SecretStr | None = None
    password_file: Path | None = None
    allow_http: bool = False
    """Send the password over ``http://`` to another host."""
    ca_file: Path | None = None
    subject_name_strategy: Literal["topic", "record", "topic_record"] = "topic_record"
    unknown_id_grace_s: NonNegativeFloat = 30.0


class SchemasSettings(Section):
    """The folders of Avro schemas, mapping sets and XDM schemas."""

    directory: Path | None = None
    builtin: bool = True


class MappingSettings(Section):
    """How mapping sets run."""

    mode: Literal["strict", "lenient"] = "strict"
    time_zone: str = "UTC"


class IdentitySettings(Section):
    """Namespace codes of the identities; an empty code leaves that identity out."""

    primary: str = "CapillaryCustomerId"
    email: str = "Email"
    phone: str = "Phone"
    external_id: str = ""
    default_region: str = ""


class ImsSettings(Section):
    """Who we are to Adobe IMS (OAuth client credentials)."""

    token_url: str = "https://ims-na1.adobelogin.com/ims/token"
    client_id: Annotated[
        str, Field(pattern=r"^[\x21-\x7e]+$", description="the client id of the OAuth credential")
    ]
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    client_secret_next: SecretStr | None = None
    client_secret_next_file: Path | None = None
    scopes: list[str] = [
        "openid",
        "AdobeID",
        "read_organizations",
        "additional_info.projectedProductContext",
        "session",
    ]
    scope_separator: Literal[" ", ","] = " "
    refresh_early_s: PositiveFloat = 300.0
    allow_http: bool = False
    ca_file: Path | None = None
    proxy: Annotated[str, Field(repr=False)] = ""


class TargetSettings(Section):
    """One place in Experience Platform: inlet, dataset, schema, operation."""

    inlet_id: Annotated[
        str,
        Field(
            pattern=r"^[0-9A-Za-z._-]+$",
            description="the inlet's id alone, the last part of its URL",
        ),
    ]
    dataset_id: Annotated[str, Field(min_length=1, description="the id of a dataset")]
    schema_id: Annotated[
        str, Field(min_length=1, description="https://ns.adobe.com/{TENANT}/schemas/{ID}")
    ]
    flow_id: Annotated[
        str, Field(pattern=r"^[0-9A-Za-z._-]*$", description="the id of a dataflow")
    ] = ""
    xdm_schema: str = ""
    ordering: Literal["key", "partition", "none"] = "key"
    operation: Literal["create", "merge"] = "create"
    identity_dataset_id: str = ""
    messages_per_second: NonNegativeFloat = 0.0


class ExperiencePlatformSettings(Section):
    """Where messages go."""

    endpoint: str = "https://dcs.adobedc.net"
    platform_endpoint: str = "https://platform.adobe.io"
    """Where the Schema Registry API is; only ``schemas fetch`` asks it."""
    org_id: Annotated[
        str,
        Field(pattern=HEX_ORG, description="24 letters and digits followed by @AdobeOrg"),
    ]
    sandbox_name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9-]*$",
            description="a sandbox's name: lower-case letters, digits and -",
        ),
    ] = "prod"
    tenant: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_]*$",
            description="the tenant's name without a leading _, such as acme",
        ),
    ]
    allow_http: bool = False
    ca_file: Path | None = None
    proxy: Annotated[str, Field(repr=False)] = ""
    targets: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], TargetSettings] = {}


class GateSettings(Section):
    """What the gate does with what Profile would drop silently."""

    on_profile_limit: Literal["dead_letter", "send"] = "dead_letter"


class DeliverySettings(Section):
    """Requests: their size, number, rate and time."""

    batch_max_records: PositiveInt = 500
    batch_max_bytes: Annotated[int, Field(ge=10_000, le=1_000_000)] = 1_000_000
    linger_ms: NonNegativeInt = 100
    max_in_flight: PositiveInt = 16
    requests_per_second: NonNegativeFloat = 200.0
    messages_per_second: NonNegativeFloat = 10_000.0
    compression: Literal["none", "gzip"] = "none"
    request_timeout_s: PositiveFloat = 30.0
    drain_timeout_s: PositiveFloat = 25.0


class ErrorsSettings(Section):
    """Retries, dead letters and the systemic brake."""

    tolerance: Literal["all", "none"] = "all"
    retry_timeout_s: float = -1.0
    retry_delay_max_s: PositiveFloat = 60.0
    deadletterqueue_topic_name: Annotated[str, Field(min_length=1)] = "{topic}.dlq"
    deadletterqueue_topic_replication_factor: PositiveInt = 3
    deadletterqueue_topic_retention_ms: PositiveInt = 2_592_000_000
    systemic_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    systemic_window: PositiveInt = 1000
    systemic_min: PositiveInt = 100


class StateSettings(Section):
    """The one compacted topic that holds the connector's state."""

    topic: Annotated[str, Field(min_length=1)] = "{name}.state"
    replication_factor: PositiveInt = 3


class AdminSettings(Section):
    """The admin server."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8083
    token_file: Path | None = None
    view_token_file: Path | None = None
    replay_token_file: Path | None = None


class LoggingSettings(Section):
    """What is logged, and how."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class Settings(BaseSettings):
    """Everything that can be set. `processor.settings.load` reads it from file and environment."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
            description="up to 100 letters, digits, dots, _ and -, first a letter or digit",
        ),
    ] = "capillary-aep"
    tasks_max: PositiveInt = 1
    kafka: KafkaSettings
    converter: ConverterSettings = ConverterSettings()
    capillary: CapillarySettings = CapillarySettings()
    schema_registry: SchemaRegistrySettings | None = None
    schemas: SchemasSettings = SchemasSettings()
    mapping: MappingSettings = MappingSettings()
    identity: IdentitySettings = IdentitySettings()
    ims: ImsSettings
    experience_platform: ExperiencePlatformSettings
    gate: GateSettings = GateSettings()
    delivery: DeliverySettings = DeliverySettings()
    errors: ErrorsSettings = ErrorsSettings()
    state: StateSettings = StateSettings()
    admin: AdminSettings = AdminSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load` brings file and environment together; one built by hand reads neither."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @property
    def group_id(self) -> str:
        """The consumer group; ``connect-<name>`` unless set, as Kafka Connect names its groups."""
        return self.kafka.group_id or f"connect-{self.name}"

    @property
    def state_topic(self) -> str:
        """The topic of the connector's state."""
        return fill(self.state.topic, name=self.name)

    def dead_letter_topic(self, topic: str) -> str:
        """The dead-letter topic of a source topic."""
        return fill(self.errors.deadletterqueue_topic_name, name=self.name, topic=topic)

    def is_own_topic(self, topic: str) -> bool:
        """Whether the connector writes this topic itself, and so never consumes it."""
        return is_own(
            topic,
            name=self.name,
            letters=self.errors.deadletterqueue_topic_name,
            state=self.state.topic,
        )
