"""What a page says once, after a form was sent and the browser was led on."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from api.sessions import cookie_name, open_cookie, seal_cookie, set_cookie
from common.secrets.crypto import KeyRing

FLASH = "carillon_flash"
_SECONDS = 60
_TEXT_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Flash:
    """A sentence, how it is meant, and at most one secret that is shown this once."""

    text: str
    tone: str = "good"
    secret: str | None = None


def redirect_with_flash(
    request: Request, keys: KeyRing, path: str, text: str, *, tone: str = "good", secret: str | None = None
) -> RedirectResponse:
    """To another page, which says `text`. The cookie in between is sealed, so it may carry a secret."""
    response = RedirectResponse(path, status_code=303)
    content = {"text": text[:_TEXT_LENGTH], "tone": tone, "secret": secret}
    set_cookie(request, response, FLASH, seal_cookie(keys, FLASH, content), seconds=_SECONDS)
    return response


def read(request: Request, keys: KeyRing) -> Flash | None:
    """What this page has to say."""
    match open_cookie(keys, FLASH, request.cookies.get(cookie_name(request, FLASH))):
        case {"text": str(text), "tone": str(tone), "secret": str() | None as secret}:
            return Flash(text, tone, secret)
        case _:
            return None


def forget(request: Request, response: Response) -> None:
    """It has been said."""
    set_cookie(request, response, FLASH, "", seconds=0)
