"""A broker with a listener for each way of proving who one is, and what its clients set for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from processor.local.broker import Broker, BrokerFiles
from tests.rig.certificates import Authority, Certificate
from tests.rig.identity_provider import IdentityProvider

USER = "capillary-aep"
ANSWER_S = 30.0
OAUTH = "org.apache.kafka.common.security.oauthbearer"
LISTENERS = {
    "TLS": "SSL",
    "MTLS": "SSL",
    "SCRAM": "SASL_SSL",
    "OAUTH": "SASL_SSL",
    "EXPIRED": "SSL",
    "ELSEWHERE": "SSL",
}
"""By name: one that wants no name, one that wants a certificate, one a password, one a token; and
two whose own certificate is not valid any more, and another host's."""


class Secured:
    """The broker, its authority, and who may come in.

    Attributes:
        authority: whom its clients trust.
        stranger: an authority that nobody here trusts.
        client: a certificate for `USER`.
        encrypted: another one, whose key has a password.
    """

    def __init__(
        self,
        files: BrokerFiles,
        directory: Path,
        provider: IdentityProvider,
        *,
        key_password: str,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.authority = Authority(directory / "authority")
        self.stranger = Authority(directory / "stranger", "Another authority")
        self.client = self.authority.issue(USER)
        self.encrypted = self.authority.issue(f"{USER}-2", password=key_password)
        self.provider = provider
        certificates = dict.fromkeys(LISTENERS, "broker") | {
            "EXPIRED": "expired",
            "ELSEWHERE": "elsewhere",
        }
        made = {
            "broker": self.authority.issue("broker"),
            "expired": self.authority.issue("expired", expired=True),
            "elsewhere": self.authority.issue("elsewhere", addresses="DNS:elsewhere.example"),
        }
        stores = {
            key: value
            for listener, name in certificates.items()
            for key, value in _key_store(listener.lower(), made[name]).items()
        }
        self.broker = Broker(
            files,
            directory / "broker",
            more_listeners=LISTENERS,
            properties={
                **stores,
                "listener.name.mtls.ssl.client.auth": "required",
                "listener.name.mtls.ssl.truststore.type": "PEM",
                "listener.name.mtls.ssl.truststore.location": str(self.authority.file),
                "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.scram.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
                "listener.name.oauth.oauthbearer.sasl.jaas.config": (
                    f"{OAUTH}.OAuthBearerLoginModule required;"
                ),
                "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class": (
                    f"{OAUTH}.OAuthBearerValidatorCallbackHandler"
                ),
                "listener.name.oauth.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": (
                    provider.jwks.as_uri()
                ),
                "listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.audience": (
                    provider.audience
                ),
                "listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.issuer": provider.issuer,
                **(properties or {}),
            },
        )
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={provider.jwks.as_uri()}"
        self.broker.java_options += (allowed,)

    def set_password(self, password: str, user: str = USER) -> None:
        """Give a user this password for SCRAM, in place of any other."""
        change = UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
        )
        admin: AdminClient = self.broker.admin()
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(timeout=ANSWER_S)

    def tls(self) -> dict[str, Any]:
        """Client properties that trust the authority."""
        return {"security.protocol": "ssl", "ssl.ca.location": str(self.authority.file)}

    def mtls(self) -> dict[str, Any]:
        """Those with a certificate of one's own."""
        return {
            **self.tls(),
            "ssl.certificate.location": str(self.client.certificate),
            "ssl.key.location": str(self.client.key),
        }

    def scram(self, **password: str) -> dict[str, Any]:
        """Those with user and password; ``password_file=…`` or ``password=…``."""
        return {
            **self.tls(),
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            **{f"sasl.{key}": value for key, value in password.items()},
        }

    def oauth(self, **secret: str) -> dict[str, Any]:
        """Those with a token of the identity provider; ``client_secret_file=…`` or without it."""
        return {
            **self.tls(),
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.client.id": USER,
            **{
                f"sasl.oauthbearer.{key.replace('client_', 'client.')}": value
                for key, value in secret.items()
            },
            "sasl.oauthbearer.token.endpoint.url": self.provider.url,
        }


def _key_store(listener: str, certificate: Certificate) -> dict[str, str]:
    return {
        f"listener.name.{listener}.ssl.keystore.type": "PEM",
        f"listener.name.{listener}.ssl.keystore.location": str(certificate.both),
    }
