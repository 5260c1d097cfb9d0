"""What a request may hold: a small body, JSON, and text PostgreSQL can keep.

Checked before FastAPI sees it, because its own parser accepts NaN, lone surrogates and NUL characters,
none of which a `jsonb` column takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api import idempotency
from api.faults import pointer
from api.problems import BadParameter, UnsupportedMediaType, unacceptable
from api.security import check_before_body, needs_key
from common.errors import FieldError, PayloadTooLarge, RequestError, Unprocessable

MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 32
"""Levels of nesting; deeper documents cost stack, and no configuration needs them."""


class JsonRequest(Request):
    """A request whose body was read and checked already."""

    content: bytes = b""
    document: Any = None

    async def body(self) -> bytes:
        """The body as it came."""
        return self.content

    async def json(self) -> Any:
        """The body as `parse_json` read it."""
        return self.document


class JsonRoute(APIRoute):
    """A route that takes JSON bodies only."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check the body, then let FastAPI have it."""
        handle = super().get_route_handler()
        is_for_keys = needs_key(self.dependant)

        async def checked(request: Request) -> Response:
            incoming = JsonRequest(request.scope, request.receive)
            check_query(incoming)
            if is_for_keys and has_body(incoming):
                # Who has no key does not make this process read, and parse, 256 kB.
                await check_before_body(incoming)
            incoming.content = await read_body(incoming)
            if incoming.content:
                require_json(incoming.headers.get("content-type"))
                incoming.document = parse_json(incoming.content)
            response = await handle(incoming)
            await idempotency.keep(incoming, response)
            return response

        return checked


def has_body(request: Request) -> bool:
    """Whether a body comes with the request (RFC 9112, section 6.3)."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def check_query(request: Request) -> None:
    """Raise BadParameter for a parameter PostgreSQL could not compare anything to."""
    for name, value in request.query_params.multi_items():
        if "\0" in value:
            raise BadParameter(name, "a NUL character cannot be kept")


async def read_body(request: Request) -> bytes:
    """The whole body; raises PayloadTooLarge as soon as it is known to exceed the limit."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def require_json(content_type: str | None) -> None:
    """Raise UnsupportedMediaType unless the body is announced as JSON."""
    message = Message()
    message["content-type"] = content_type or ""
    subtype = message.get_content_subtype()
    if message.get_content_maintype() != "application" or not (
        subtype == "json" or subtype.endswith("+json")
    ):
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")


def parse_json(body: bytes) -> Any:
    """The document, or RequestError saying where it stops being JSON, or Unprocessable naming a field."""
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise RequestError(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not JSON: byte {error.start} is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The body is not JSON this service reads: {error}.") from error
    _check(document, ())
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"A request body has at most {MAX_BODY_BYTES} bytes.")


def _check(value: Any, path: tuple[str | int, ...]) -> None:
    if len(path) > MAX_DEPTH:
        raise _unkeepable(path[:3], f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _unkeepable(path, "the number is out of range")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_text(name, path)
            _check(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check(inner, (*path, index))


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if "\0" in text:
        raise _unkeepable(path, "a NUL character cannot be kept")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _unkeepable(path, "a lone surrogate is not a character")


def _unkeepable(path: tuple[str | int, ...], detail: str) -> Unprocessable:
    return unacceptable([FieldError(pointer(path), detail)])
