"""The console as the application sees it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from api.web.pages import (
    automation_forms,
    automations,
    connections,
    consents,
    destinations,
    gallery,
    overview,
    recording_sources,
    recording_templates,
    recordings,
    reference,
    runs,
    sign_in,
)
from api.web.rendering import STATIC, render
from api.web.security_headers import SecurityHeaders

# Forms come first: `/automations/new` must not be taken for an automation.
_PAGES = (
    sign_in,
    overview,
    automation_forms,
    gallery,
    automations,
    runs,
    recording_sources,
    recording_templates,
    recordings,
    destinations,
    connections,
    consents,
    reference,
)


def install(app: FastAPI) -> None:
    """Serve the console at `/`, beside the API."""
    router = APIRouter(include_in_schema=False)
    for module in _PAGES:
        router.include_router(module.router)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(SecurityHeaders, show=_show_problem)


def _show_problem(request: Request, problem: dict[str, Any]) -> Response:
    # An address with something that is no id names nothing that could be found.
    status = 404 if problem["status"] == 422 and request.method == "GET" else problem["status"]
    return render(request, "problem.html", status_code=status, problem=problem, code=status)
