"""POST /: several calls in one."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote

from sandbox.exchange import Answer
from sandbox.facebook.errors import GraphError, invalid_parameter
from sandbox.facebook.request import GraphRequest

MAX_PARTS = 50
_REFERENCE = re.compile(r"\{result=([^:}]+):\$\.([^}]*)\}")

Perform = Callable[[str, str, dict[str, str], str], Answer]
"""Carries out (method, path, parameters, If-None-Match)."""


def run(request: GraphRequest, perform: Perform) -> list[dict[str, Any] | None]:
    """Every part's answer in order; raises code 100 when the batch itself is wrong."""
    parts = request.json("batch", list)
    if not parts:
        raise invalid_parameter("batch parameter must be a JSON array with at least one request")
    if len(parts) > MAX_PARTS:
        raise GraphError(1, f"Too many requests in batch message. Maximum batch size is {MAX_PARTS}")
    show_headers = request.params.get("include_headers", "true").lower() not in ("false", "0")
    bodies: dict[str, Any] = {}
    named = _names_used(parts)
    answers: list[dict[str, Any] | None] = []
    for part in parts:
        if not isinstance(part, dict) or "relative_url" not in part:
            raise invalid_parameter("Each batch item must have a relative_url")
        answer = _perform_part(request, part, bodies, perform)
        name = str(part.get("name", ""))
        if name:
            bodies[name] = json.loads(answer.body or b"null")
        if name in named and answer.status == 200 and part.get("omit_response_on_success", True):
            answers.append(None)
        else:
            answers.append(_shown(answer, show_headers))
    return answers


def _perform_part(
    request: GraphRequest, part: dict[str, Any], bodies: dict[str, Any], perform: Perform
) -> Answer:
    address = _REFERENCE.sub(lambda match: _resolve(match, bodies), str(part["relative_url"]))
    path, _, query = address.partition("?")
    body = _REFERENCE.sub(lambda match: _resolve(match, bodies), str(part.get("body", "")))
    params = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body, keep_blank_values=True))
    params.setdefault("access_token", request.token)
    etag = ""
    for header in part.get("headers", ()):
        if isinstance(header, dict) and str(header.get("name", "")).lower() == "if-none-match":
            etag = str(header.get("value", ""))
    return perform(str(part.get("method", "GET")).upper(), "/" + path.lstrip("/"), params, etag)


def _shown(answer: Answer, show_headers: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": answer.status}
    if show_headers:
        headers = [{"name": "Content-Type", "value": "text/javascript; charset=UTF-8"}]
        headers += [{"name": name.title(), "value": value} for name, value in answer.headers]
        shown["headers"] = headers
    shown["body"] = answer.body.decode()
    return shown


def _names_used(parts: list[Any]) -> set[str]:
    return {match.group(1) for match in _REFERENCE.finditer(json.dumps(parts))}


def _resolve(match: re.Match[str], bodies: dict[str, Any]) -> str:
    values = [bodies.get(match.group(1))]
    for step in match.group(2).split("."):
        following: list[Any] = []
        for value in values:
            if step == "*" and isinstance(value, list):
                following += value
            elif isinstance(value, dict) and step in value:
                following.append(value[step])
        values = following
    return quote(",".join(str(value) for value in values), safe=",")
