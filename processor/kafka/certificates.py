"""What is wrong with a broker's certificate: librdkafka does not tell, so Python's TLS is asked."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any


def refused_certificates(
    properties: Mapping[str, Any], timeout_s: float
) -> Iterator[tuple[str, str]]:
    """Each bootstrap server whose certificate is refused, and why; none that cannot be asked.

    Args:
        properties: of a client; nothing of them but ``ssl.ca.location`` is used, and no record,
            password or certificate of ours is sent.
        timeout_s: for each server.
    """
    authority = properties.get("ssl.ca.location")
    try:
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError:
        return
    for server in str(properties.get("bootstrap.servers", "")).split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with (
                socket.create_connection((host.strip("[]"), int(port)), timeout_s) as connection,
                context.wrap_socket(connection, server_hostname=host.strip("[]")),
            ):
                continue
        except ssl.SSLCertVerificationError as error:
            yield server.strip(), error.verify_message.rstrip(".")
        except (OSError, ValueError):
            continue
