"""Settings: what can be set, loading it, and secrets that may change while we run."""

from processor.settings.checks import is_loopback
from processor.settings.environment import service_links
from processor.settings.flat import complaints_about, tables_of
from processor.settings.kafka_properties import client_properties
from processor.settings.load import load
from processor.settings.masking import (
    inline_secrets,
    is_secret_key,
    masked,
    masked_tables,
    printable,
)
from processor.settings.models import (
    AdminSettings,
    CapillarySettings,
    ConverterSettings,
    DeliverySettings,
    ErrorsSettings,
    ExperiencePlatformSettings,
    GateSettings,
    IdentitySettings,
    ImsSettings,
    KafkaSettings,
    LoggingSettings,
    MappingSettings,
    SchemaRegistrySettings,
    SchemasSettings,
    Section,
    Settings,
    StateSettings,
    TargetSettings,
)
from processor.settings.secrets import SecretValue, client_secrets, tell_when_read

__all__ = [
    "AdminSettings",
    "CapillarySettings",
    "ConverterSettings",
    "DeliverySettings",
    "ErrorsSettings",
    "ExperiencePlatformSettings",
    "GateSettings",
    "IdentitySettings",
    "ImsSettings",
    "KafkaSettings",
    "LoggingSettings",
    "MappingSettings",
    "SchemaRegistrySettings",
    "SchemasSettings",
    "SecretValue",
    "Section",
    "Settings",
    "StateSettings",
    "TargetSettings",
    "client_properties",
    "client_secrets",
    "complaints_about",
    "inline_secrets",
    "is_loopback",
    "is_secret_key",
    "load",
    "masked",
    "masked_tables",
    "printable",
    "service_links",
    "tables_of",
    "tell_when_read",
]
