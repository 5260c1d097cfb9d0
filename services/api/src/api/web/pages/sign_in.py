"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from api import sessions
from api.context import Now, Transaction, Wired
from api.security import check_key
from api.sessions import MaybeSignedIn
from api.web.flashes import redirect_with_flash
from api.web.forms import OpenForm, SentForm
from api.web.rendering import render
from api.web.security_headers import SIGN_IN, safe_next

log = structlog.get_logger()
router = APIRouter()


@router.get("/sign-in")
async def sign_in_page(
    request: Request, viewer: MaybeSignedIn, wired: Wired, target: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Ask for an API key."""
    if viewer is not None:
        return RedirectResponse(safe_next(target), status_code=303)
    has_demo = wired.settings.demo_api_key is not None
    return render(request, "sign_in.html", target=safe_next(target), has_demo=has_demo, refusal="")


@router.post("/sign-in")
async def sign_in(request: Request, form: OpenForm, session: Transaction, wired: Wired, now: Now) -> Response:
    """Start a session with the key of the form, or with the demo's."""
    target = safe_next(form.text("next"))
    demo = wired.settings.demo_api_key
    key = demo.get_secret_value() if demo and form.text("demo") else form.text("key")
    known = await check_key(request, session, wired, key, now) if key else None
    if known is None:
        log.info("sign-in refused")
        refusal = "This key is unknown, revoked or expired." if key else "Paste an API key of your team."
        return render(
            request,
            "sign_in.html",
            status_code=422,
            target=target,
            has_demo=demo is not None,
            refusal=refusal,
        )
    wired.key_usage.note(known.principal.key_id, known.last_used_at, now)
    response = RedirectResponse(target, status_code=303)
    await sessions.start(request, response, session, known, wired, now)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, form: SentForm, session: Transaction, wired: Wired) -> Response:
    """End the session."""
    response = redirect_with_flash(request, wired.keys, SIGN_IN, "You are signed out.")
    await sessions.end(request, response, session, wired)
    return response
