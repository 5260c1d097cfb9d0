"""The API's reference: the OpenAPI document as a page, without third-party scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.problems import PROBLEM_TITLES, slug
from api.sessions import MaybeSignedIn
from api.web.rendering import render

router = APIRouter()

PROBLEMS: Mapping[str, str] = {
    "Bad request": "The body cannot be read as JSON; the detail says where it stops being JSON.",
    "Not authenticated": "No valid API key came with the request.",
    "Forbidden": "The key is valid, and its owner may not do this.",
    "Not found": "There is no such thing, or it is not your team's.",
    "Conflict": "The present state does not allow this; the detail says what to do first.",
    "Changed meanwhile": "It was changed since you read it: read it again.",
    "Request too large": "Bodies have at most 256 KiB.",
    "Unsupported media type": "Send JSON, with Content-Type: application/json.",
    "Validation failed": "Fields are not acceptable; errors names each and says what to write instead.",
    "Temporarily unavailable": "Try again after the time in Retry-After. Nothing was changed.",
    "Internal Server Error": "A defect of ours. It has been logged; quote trace_id when you tell us.",
}


@router.get("/docs")
async def reference(request: Request, viewer: MaybeSignedIn) -> Response:
    """Every operation, by tag, and every kind of problem."""
    document: dict[str, Any] = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = [_resolved(document, parameter) for parameter in operation.get("parameters", ())]
            groups[operation["tags"][-1]].append(
                {**operation, "method": method.upper(), "path": path, "parameters": parameters}
            )
    statuses = {title: status for status, title in PROBLEM_TITLES.items()}
    return render(
        request,
        "reference.html",
        viewer,
        origin=str(request.base_url).rstrip("/"),
        groups=[{**tag, "operations": groups[tag["name"]]} for tag in document["tags"]],
        problems=[
            {"slug": slug(title), "title": title, "detail": detail, "status": statuses.get(title, 500)}
            for title, detail in PROBLEMS.items()
        ],
    )


def _resolved(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameter itself where the operation only refers to one that many share."""
    reference = parameter.get("$ref")
    if reference is None:
        return parameter
    shared: Mapping[str, Any] = document["components"]["parameters"][reference.rpartition("/")[2]]
    return shared
