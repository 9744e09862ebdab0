"""TLS to the schema registry: an own authority, and what is wrong with a certificate."""

import ssl
from pathlib import Path

from processor.errors import Misconfigured


def own_authorities(file: Path) -> ssl.SSLContext:
    """Trust these certificate authorities, in PEM, and no others; TLS 1.2 is the least.

    Raises:
        Misconfigured: the file cannot be read as certificates.
    """
    try:
        context = ssl.create_default_context(cafile=file)
    except OSError as error:
        raise Misconfigured(
            f"schema_registry.ca_file: {file} is not a readable file of certificates."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def no_safe_way(error: BaseException) -> str | None:
    """Why there is no TLS with a server, such as a certificate that is refused.

    `None` when an exception is about something else; so it is about a handshake that only broke
    off, which is the moment's fault.
    """
    passing = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, passing):
            said = getattr(seen, "verify_message", "") or seen.reason or "the handshake failed"
            return said.rstrip(".")
        seen = seen.__cause__ or seen.__context__
    return None
