"""Templates, and what every page knows."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from api.context import Collaborators
from api.sessions import Viewer
from api.web import flashes, messages, times, words
from api.web.forms import TOKEN

STATIC = Path(__file__).parent / "static"

NAVIGATION = (
    ("/", "Overview", "overview"),
    ("/automations", "Automations", "automations"),
    ("/runs", "Runs", "runs"),
    ("/recordings", "Recordings", "recordings"),
    ("/destinations", "Destinations", "destinations"),
    ("/connections", "Connections", "connections"),
)
"""Address, label, and the name of the icon."""


@cache
def timezones() -> list[str]:
    """Every IANA zone people live in, for the form's suggestions."""
    return ["UTC", *sorted(name for name in available_timezones() if "/" in name and name[:4] != "Etc/")]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=times.duration,
        clock_in=times.clock_in,
        short_in=times.short_in,
        readable=words.readable,
        as_json=messages.as_json,
        state=words.state,
        skip_reason=words.skip_reason,
        sentence=words.sentence,
        counted=words.counted,
    )
    environment.globals.update(
        navigation=NAVIGATION,
        between=times.between,
        triggers=words.TRIGGERS,
        catch_up_words=words.CATCH_UP,
        overlap_words=words.OVERLAP,
        token_field=TOKEN,
        safe_message=messages.safe_html,
    )
    return environment


_TEMPLATES = _environment()


def render(
    request: Request,
    template: str,
    viewer: Viewer | None = None,
    *,
    status_code: int = 200,
    **context: Any,
) -> Response:
    """A page. `viewer` is who is signed in."""
    wired: Collaborators = request.app.state.collaborators
    now = wired.clock()
    flash = flashes.read(request, wired.keys)
    content = _TEMPLATES.get_template(template).render(
        viewer=viewer,
        path=request.url.path,
        section=_section(request.url.path),
        flash=flash,
        now=now,
        ago=lambda instant: times.relative(instant, now),
        **context,
    )
    response = HTMLResponse(content, status_code=status_code)
    if flash is not None:
        flashes.forget(request, response)
    return response


def _section(path: str) -> str:
    return next(
        (icon for prefix, _, icon in NAVIGATION[1:] if path.startswith(prefix)),
        "overview" if path == "/" else "",
    )
