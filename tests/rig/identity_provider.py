"""An identity provider on loopback: access tokens for client credentials (OpenID Connect)."""

import base64
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from processor.local.ports import LOOPBACK
from tests.rig.certificates import rsa_key, sign
from tests.rig.in_thread import InThread

KEY_ID = "test-key"
TOKEN_SECONDS = 300


class IdentityProvider(InThread):
    """Grants tokens to one client; what it was asked is kept.

    Attributes:
        jwks: file of its public key, for whoever checks its tokens.
        url: of the token endpoint.
        asked: the answers' status codes, in order.
        lifetime_s: of the tokens.
    """

    audience = "kafka"
    issuer = "https://identity.example"

    def __init__(self, directory: Path, client_id: str, client_secret: str) -> None:
        directory.mkdir(parents=True)
        self._key = directory / "idp.key"
        self._client = (client_id, client_secret)
        modulus = rsa_key(self._key)
        public = {"kty": "RSA", "kid": KEY_ID, "alg": "RS256", "use": "sig"}
        public |= {"n": _base64(modulus.to_bytes(256)), "e": _base64(b"\x01\x00\x01")}
        self.jwks = directory / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [public]}))
        self.asked: list[int] = []
        self.lifetime_s = TOKEN_SECONDS
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        super().__init__(self._server)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/token"

    def _granted(self, authorization: str, form: dict[str, list[str]]) -> bool:
        given = (form.get("client_id", [""])[0], form.get("client_secret", [""])[0])
        if authorization.startswith("Basic "):
            user, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
            given = (unquote(user), unquote(password))
        return form.get("grant_type") == ["client_credentials"] and given == self._client

    def _token(self) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": self.issuer, "sub": self._client[0], "aud": self.audience}
        claims |= {"iat": now - 5, "exp": now + self.lifetime_s}
        header = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{_base64(sign(self._key, text.encode()))}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                form = parse_qs(self.rfile.read(length).decode())
                granted = provider._granted(self.headers.get("authorization", ""), form)
                status, answer = 401, dict[str, Any](error="invalid_client")
                if granted:
                    answer = {"access_token": provider._token(), "token_type": "Bearer"}
                    answer["expires_in"], status = provider.lifetime_s, 200
                provider.asked.append(status)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - the library's name
                del format

        return Handler


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
