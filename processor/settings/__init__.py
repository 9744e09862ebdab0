"""Settings: what can be set, loading it, and secrets that may change while we run."""

from processor.settings.environment import service_links
from processor.settings.kafka_properties import client_properties
from processor.settings.load import load
from processor.settings.masking import inline_secrets, is_secret_key, masked, printable
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
    "inline_secrets",
    "is_secret_key",
    "load",
    "masked",
    "printable",
    "service_links",
    "tell_when_read",
]
