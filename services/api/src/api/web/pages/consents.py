"""The way to a platform's own page, and back from it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from api.connections import consents
from api.connections.consents import CALLBACK, LIFE, Answer, ConsentFailed
from api.connections.schemas import AuthorizeRequest
from api.context import Now, Transaction, Wired
from api.sessions import MaybeSignedIn, SignedIn, Viewer, cookie_name, open_cookie, seal_cookie, set_cookie
from api.web.connection_words import adopted_words
from api.web.flashes import redirect_with_flash
from api.web.forms import SentForm
from api.web.rendering import render
from api.web.security_headers import SIGN_IN
from common.errors import RequestError
from common.models import ConnectionKind

router = APIRouter()
_LIST = "/connections"
_WAITING = "carillon_consent"
_Parameter = Annotated[str, Query(max_length=4_096)]


@router.post("/connections/connect")
async def connect(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Go to the platform's page, there to agree.

    By way of a page of our own: browsers hold the policy on forms (`form-action`) against every address a
    form's answer leads to, and where a platform leads people is not for us to know.
    """
    try:
        wanted = AuthorizeRequest.model_validate(form.given("kind", "connection_id"))
        begun = await consents.begin(session, wired, viewer.principal, wanted, now=now)
    except ValidationError:
        return redirect_with_flash(request, wired.keys, _LIST, "Choose what to connect.", tone="bad")
    except RequestError as error:
        told = error.errors[0].detail if error.errors else error.detail
        return redirect_with_flash(request, wired.keys, _LIST, f"It cannot be connected: {told}", tone="bad")
    title = wired.grants[ConnectionKind(wanted.kind)].title
    return render(request, "leaving.html", viewer, title=title, address=begun.authorize_url)


@router.get(CALLBACK)
async def callback(
    request: Request,
    viewer: MaybeSignedIn,
    session: Transaction,
    wired: Wired,
    now: Now,
    state: _Parameter = "",
    code: _Parameter = "",
    auth_code: _Parameter = "",
    error: _Parameter = "",
) -> Response:
    """Back from a platform, with its answer. TikTok for Business calls its code `auth_code`.

    Where the session has ended meanwhile, the answer waits in a sealed cookie until the person has signed in:
    in the address of that page its code would be kept by browsers and proxies.
    """
    answer = Answer(state=state, code=auth_code or code, error=error)
    if viewer is None:
        leading = RedirectResponse(f"{SIGN_IN}?next={CALLBACK}", status_code=303)
        waiting = seal_cookie(wired.keys, _WAITING, asdict(answer))
        set_cookie(request, leading, _WAITING, waiting, seconds=int(LIFE.total_seconds()))
        return leading
    if not request.url.query:
        answer = _waiting(request, wired) or answer
    response = await _finished(request, viewer, session, wired, answer, now)
    set_cookie(request, response, _WAITING, "", seconds=0)
    return response


def _waiting(request: Request, wired: Wired) -> Answer | None:
    match open_cookie(wired.keys, _WAITING, request.cookies.get(cookie_name(request, _WAITING))):
        case {"state": str(state), "code": str(code), "error": str(error)}:
            return Answer(state, code, error)
        case _:
            return None


async def _finished(
    request: Request, viewer: Viewer, session: AsyncSession, wired: Wired, answer: Answer, now: datetime
) -> Response:
    try:
        adopted = await consents.finish(session, wired, viewer.principal, answer, now=now)
    except ConsentFailed as failed:
        path = _LIST if failed.connection_id is None else f"{_LIST}/{failed.connection_id}"
        return redirect_with_flash(request, wired.keys, path, failed.words, tone="bad")
    told, tone = adopted_words(adopted)
    return redirect_with_flash(request, wired.keys, f"{_LIST}/{adopted.connection.id}", told, tone=tone)
