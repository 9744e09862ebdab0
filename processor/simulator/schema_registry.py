"""The Schema Registry API: ``GET …/schemaregistry/tenant/schemas/{$id}``.

Source: AEP's pages on the Schema Registry API (getting started) and on the gateway's error codes.
"""

import re
from typing import Any

from processor.simulator.answers import Reply, of_json
from processor.simulator.doors import Asked, Doorway
from processor.simulator.script import Door, Plan
from processor.simulator.xdm import TENANT_PLACEHOLDER, XdmSchema

PATH = "/data/foundation/schemaregistry/tenant/schemas/"
_ORG = re.compile(r"[0-9A-Za-z]{24}@AdobeOrg")
_ACCEPTED = re.compile(r"application/vnd\.adobe\.xed(-full)?(-notext|-desc)?\+json")
_TENANT_OF = re.compile(r"https://ns\.adobe\.com/([a-z0-9_]+)/schemas/.+")


class SchemasDoor(Doorway):
    """Serves the schemas that the inlets validate by, as the tenant's own."""

    door: Door = "schemas"

    def understand(self, asked: Asked) -> Reply | None:
        """A GET has nothing to find in its body."""
        del asked
        return None

    def scripted(self, status: int) -> Reply:
        """An error in the API's shape."""
        return _problem(status, "Scripted by the simulator's faults")

    def honest(self, asked: Asked, plan: Plan, refusal: Reply | None) -> Reply:
        """The schema, or what the gateway or the API has against the request."""
        del plan, refusal
        state, asked.entry.token = self.world.ims.number_of(asked.headers.get("authorization"))
        turned_away = self._by_gateway(asked, state) or _by_api(asked)
        if turned_away is not None:
            return turned_away
        schema_id = asked.entry.path.removeprefix(PATH)
        schema = self._schema(schema_id)
        if schema is None:
            return _problem(404, "The requested schema does not exist in this sandbox")
        return of_json(200, self._as_tenants(schema, schema_id))

    def _by_gateway(self, asked: Asked, state: str) -> Reply | None:
        options = self.world.options
        if state == "missing":
            return _gateway(403, "403010", "Oauth token is missing")
        if state == "invalid":
            return _gateway(401, "401013", "Oauth token is not valid")
        if not asked.headers.get("x-api-key"):
            return _gateway(403, "403000", "Api Key is required")
        if options.client_id is not None and asked.headers["x-api-key"] != options.client_id:
            return _gateway(403, "403003", "Api Key is invalid")
        org_id = asked.headers.get("x-gw-ims-org-id", "")
        if not org_id:
            return _gateway(400, "400003", "Header x-gw-ims-org-id is missing")
        if not _ORG.fullmatch(org_id) or org_id != (options.org_id or org_id):
            return _gateway(403, "403025", "Profile is not valid")
        return None

    def _schema(self, schema_id: str) -> XdmSchema | None:
        world = self.world
        for inlet in world.options.inlets:
            if inlet.schema_id == schema_id:
                return world.schemas.named(inlet.schema)
        return world.schemas.with_id(schema_id)

    def _as_tenants(self, schema: XdmSchema, schema_id: str) -> dict[str, Any]:
        """The schema under the id that was asked for, its own key in place of the placeholder's."""
        found = _TENANT_OF.fullmatch(schema_id)
        tenant = self.world.options.tenant or (found[1] if found else "tenant")
        key = f"_{tenant}"
        properties = {
            key if name == TENANT_PLACEHOLDER else name: node
            for name, node in schema.document.get("properties", {}).items()
        }
        return {
            **schema.document,
            "$id": schema_id,
            "version": "1.0",
            "meta:resourceType": "schemas",
            "meta:tenantNamespace": key,
            "properties": properties,
        }


def _by_api(asked: Asked) -> Reply | None:
    if not asked.headers.get("x-sandbox-name"):
        return _problem(400, "The header x-sandbox-name is required")
    accept = asked.headers.get("accept", "")
    kind, _, parameters = accept.partition(";")
    if not _ACCEPTED.fullmatch(kind.strip()):
        return _problem(406, "The header Accept has to name a media type of the Schema Registry")
    if not re.search(r"\bversion=[0-9]+", parameters):
        return _problem(400, "The header Accept has to name the schema's version")
    return None


def _gateway(status: int, code: str, message: str) -> Reply:
    return of_json(status, {"error_code": code, "message": message})


def _problem(status: int, detail: str) -> Reply:
    kind = f"http://ns.adobe.com/aep/errors/XDM-{status}"
    return of_json(status, {"type": kind, "status": status, "title": detail, "detail": detail})
