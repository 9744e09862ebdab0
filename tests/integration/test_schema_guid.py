"""A writer schema named by its GUID in a header, served by a small server of that path."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from processor.schemas import wire
from processor.schemas.folder import SchemaFolder
from processor.settings import SchemasSettings

GUID = uuid.UUID("89791762-2336-4186-9674-299b90a802e2")


class GuidRegistry(BaseHTTPRequestHandler):
    """Knows one schema, by GUID."""

    avro = ""

    def do_GET(self) -> None:
        known = self.path.partition("?")[0] == f"/schemas/guids/{GUID}"
        body = {"schema": self.avro} if known else {"error_code": 40403, "message": "none"}
        encoded = json.dumps(body).encode()
        self.send_response(200 if known else 404)
        self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def guid_registry() -> Iterator[str]:
    folder = SchemaFolder.load(SchemasSettings())
    GuidRegistry.avro = json.dumps(folder.events["transactionAdded"].avro)
    with ThreadingHTTPServer(("127.0.0.1", 0), GuidRegistry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_record_whose_schema_is_named_by_guid_is_delivered(
    guid_registry: str, capillary: Any, topic: str, produce: Any, connector: Any,
    connector_settings: Any, arrives: Any,
) -> None:  # fmt: skip
    event = capillary.events.of("transactionAdded")
    payload = capillary.record(event)["value"][5:]
    settings = connector_settings(topic)
    settings["schema_registry"]["url"] = guid_registry
    produce(topic, [{"value": payload, "key": b"k", "headers": [wire.guid_header(GUID)]}])

    connector(settings)

    arrives({"event": {event["eventId"]}})
