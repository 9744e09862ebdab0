"""Certificate authorities and certificates, made by the openssl program for one test run."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

DAYS: Final = "2"
EXPIRED_FROM, EXPIRED_UNTIL = "20200101000000Z", "20200102000000Z"
OPENSSL_TIMEOUT_S = 60.0
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key, each in PEM.

    Attributes:
        certificate: the certificate alone.
        key: its private key, unencrypted unless made with a password.
        both: key and certificate in one file, as Kafka's PEM key store and Python's ssl take it.
    """

    certificate: Path
    key: Path
    both: Path


class Authority:
    """A certificate authority of one's own.

    Attributes:
        file: its certificate in PEM, what clients name as their ``ca_file``.
    """

    def __init__(self, directory: Path, name: str = "Test authority") -> None:
        self._directory = directory
        directory.mkdir(parents=True)
        self.file = directory / "ca.pem"
        self._key = directory / "ca.key"
        # Its database, which only `openssl ca` has: `x509` cannot make what has expired already.
        (directory / "index.txt").write_text("")
        (directory / "ca.cnf").write_text(
            f"[ca]\ndefault_ca = own\n[own]\ndatabase = {directory}/index.txt\n"
            f"new_certs_dir = {directory}\nrand_serial = yes\ndefault_md = sha256\n"
            "policy = any\ncopy_extensions = copy\nunique_subject = no\n"
            "[any]\ncommonName = supplied\n"
        )
        _openssl(
            *("req", "-x509", "-noenc", *CURVE, "-days", DAYS, "-subj", f"/CN={name}"),
            *("-keyout", self._key, "-out", self.file),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def issue(
        self,
        name: str,
        *,
        addresses: str = "IP:127.0.0.1,DNS:localhost",
        expired: bool = False,
        password: str = "",
    ) -> Certificate:
        """A certificate for this common name.

        Args:
            name: also the name of its files.
            addresses: subject alternative names as openssl writes them.
            expired: valid for one day of January 2020.
            password: encrypts the key.
        """
        made = [self._directory / f"{name}.{kind}" for kind in ("crt", "key", "pem")]
        certificate, key, both = made
        request = self._directory / f"{name}.csr"
        hidden = ("-passout", f"pass:{password}") if password else ("-noenc",)
        _openssl(
            *("req", "-new", *hidden, *CURVE, "-subj", f"/CN={name}"),
            *("-keyout", key, "-out", request, "-addext", f"subjectAltName={addresses}"),
        )
        start, end = (EXPIRED_FROM, EXPIRED_UNTIL) if expired else _now()
        _openssl(
            *("ca", "-batch", "-notext", "-config", self._directory / "ca.cnf"),
            *("-cert", self.file, "-keyfile", self._key, "-in", request, "-out", certificate),
            *("-startdate", start, "-enddate", end),
        )
        both.write_text(key.read_text() + certificate.read_text())
        return Certificate(certificate, key, both)


def sign(key: Path, content: bytes) -> bytes:
    """An RSA signature over SHA-256, as JWTs have it."""
    done = subprocess.run(
        ("openssl", "dgst", "-sha256", "-sign", key),
        input=content,
        capture_output=True,
        timeout=OPENSSL_TIMEOUT_S,
        check=True,
    )
    return done.stdout


def rsa_key(path: Path) -> int:
    """Write a private RSA key of 2,048 bits and give its modulus; the exponent is 65,537."""
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    return int(_openssl("rsa", "-in", path, "-noout", "-modulus").partition("=")[2], 16)


def _now() -> tuple[str, str]:
    now = datetime.now(UTC)
    return f"{now:%Y%m%d}000000Z", f"{now.year + 1}{now:%m}01000000Z"


def _openssl(*arguments: str | Path) -> str:
    done = subprocess.run(
        ("openssl", *arguments),
        capture_output=True,
        text=True,
        timeout=OPENSSL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
