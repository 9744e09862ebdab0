"""The token endpoint: ``POST /ims/token`` and its versions."""

from urllib.parse import parse_qsl

from processor.simulator.answers import Reply, of_json, problem
from processor.simulator.doors import Asked, Doorway
from processor.simulator.script import Door, Plan
from processor.simulator.world import World

_FORM = "application/x-www-form-urlencoded"
_LIMIT_BYTES = 65_536
_SERVER = 500


class TokenDoor(Doorway):
    """Adobe IMS."""

    door: Door = "ims"

    def __init__(self, world: World, version: str = "") -> None:
        super().__init__(world)
        self._version = version

    def limit_bytes(self) -> int:
        """Largest form that is read."""
        return _LIMIT_BYTES

    def understand(self, asked: Asked) -> Reply | None:
        """The form's fields; in the query they are taken too, and noted as a leak."""
        asked.entry.leak = "client_secret" in asked.query
        kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
        if len(asked.body) > _LIMIT_BYTES:
            return problem(413, "The form is too large")
        if asked.body and kind != _FORM:
            return of_json(
                400,
                {"error": "invalid_request", "error_description": f"content type is not {_FORM}"},
            )
        form = parse_qsl(asked.body.decode("utf-8", "replace"), keep_blank_values=True)
        asked.fields = {**asked.query, **dict(form)}
        return None

    def scripted(self, status: int) -> Reply:
        """An OAuth error."""
        return of_json(
            status, {"error": "server_error" if status >= _SERVER else "invalid_request"}
        )

    def honest(self, asked: Asked, plan: Plan, refusal: Reply | None) -> Reply:
        """A token, or what OAuth calls the reason for none."""
        if refusal is not None:
            return refusal
        fault, ims = plan.answer, self.world.ims
        lifetime_s = fault.token_lifetime_s if fault is not None else None
        version = self._version
        if fault is not None and fault.expires_in_unit is not None:
            version = "v1" if fault.expires_in_unit == "ms" else "v3"
        status, content = ims.answer(asked.fields, version=version, lifetime_s=lifetime_s)
        if status != 200:  # noqa: PLR2004  HTTP's own
            return of_json(status, content)
        asked.entry.token = ims.minted
        if fault is not None and "expires_in" in fault.model_fields_set:
            content["expires_in"] = fault.expires_in
        if fault is not None and fault.omit_expires_in:
            del content["expires_in"]
        return of_json(status, content)
