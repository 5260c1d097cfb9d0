"""POST /: several calls in one."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from sandbox.exchange import Answer
from sandbox.facebook.errors import GraphError, invalid_parameter
from sandbox.facebook.request import GraphRequest

MAX_PARTS = 50

Perform = Callable[[str, str, dict[str, str]], Answer]
"""Carries out (method, path, parameters)."""


def run(request: GraphRequest, perform: Perform) -> list[dict[str, Any]]:
    """Every part's answer in order; raises code 100 when the batch itself is wrong."""
    parts = request.json("batch", list)
    if not parts:
        raise invalid_parameter("batch parameter must be a JSON array with at least one request")
    if len(parts) > MAX_PARTS:
        raise GraphError(1, f"Too many requests in batch message. Maximum batch size is {MAX_PARTS}")
    show_headers = request.params.get("include_headers", "true").lower() not in ("false", "0")
    answers: list[dict[str, Any]] = []
    for part in parts:
        if not isinstance(part, dict) or "relative_url" not in part:
            raise invalid_parameter("Each batch item must have a relative_url")
        answers.append(_shown(_perform_part(request, part, perform), show_headers))
    return answers


def _perform_part(request: GraphRequest, part: dict[str, Any], perform: Perform) -> Answer:
    path, _, query = str(part["relative_url"]).partition("?")
    body = str(part.get("body", ""))
    params = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body, keep_blank_values=True))
    params.setdefault("access_token", request.token)
    return perform(str(part.get("method", "GET")).upper(), "/" + path.lstrip("/"), params)


def _shown(answer: Answer, show_headers: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": answer.status}
    if show_headers:
        headers = [{"name": "Content-Type", "value": "text/javascript; charset=UTF-8"}]
        headers += [{"name": name.title(), "value": value} for name, value in answer.headers]
        shown["headers"] = headers
    shown["body"] = answer.body.decode()
    return shown
