"""What a form of a page sends, and what a client sends as JSON."""

from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MAX_FIELDS = 100


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; of a field that is there twice, the last. Empty: it sends no form.

    Raises:
        HTTPException: 400, it holds more than `MAX_FIELDS` fields.
    """
    if _type_of(request) != FORM:
        return {}
    text = (await request.body()).decode(errors="replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise HTTPException(400, f"A form has at most {MAX_FIELDS} fields.") from None


async def json_of(request: Request) -> Any:
    """The body as JSON; `None` when there is no body.

    Raises:
        HTTPException: 415, it is not said to be JSON; 400, it is no JSON.
    """
    body = await request.body()
    if not body:
        return None
    if _type_of(request) != JSON:
        raise HTTPException(415, "HTTP 415 Unsupported Media Type")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"The body is no JSON: {error.msg}.") from None


def _type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
