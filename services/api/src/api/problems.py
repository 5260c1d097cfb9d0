"""RFC 9457 problem documents: the one place that turns an error into an HTTP answer.

A problem names every field at fault in `errors`, by JSON pointer into the request's body, or into the part
of the request that `in` names. It never repeats a value, and never tells what went wrong inside.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import asyncpg
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from opentelemetry import trace
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount, Route

from api.faults import MAX_POINTER, in_words, pointer, within
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import CarillonError, Conflict, FieldError, RequestError, Unprocessable

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 50
"""Fields a problem names; a body may hold thousands that are not known."""
_READING = ("GET", "HEAD")
_METHODS = (*_READING, "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="carillon"'},
    503: {"Retry-After": "2"},
}


class UnsupportedMediaType(RequestError):
    """The request's body is not JSON."""

    status_code = 415
    title = "Unsupported media type"


class PreconditionFailed(RequestError):
    """The resource was changed since the caller read it."""

    status_code = 412
    title = "Changed meanwhile"


class BadParameter(Unprocessable):
    """A query parameter is not acceptable."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(_count(1), errors=[FieldError(f"/{name}", detail)])


class BadHeader(Unprocessable):
    """A header is not acceptable."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(_count(1), errors=[FieldError(f"/{name}", detail)])


class TooManyRequests(RequestError):
    """The client is to go on in `retry_after` seconds."""

    status_code = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(CarillonError):
    """Something this service needs does not answer; worth another try."""

    permanent = False
    status_code = 503
    title = "Temporarily unavailable"


class Fault(BaseModel):
    """One field and what is wrong with it."""

    pointer: str = Field(
        description="JSON pointer (RFC 6901) to the field", examples=["/schedule_config/hour"]
    )
    detail: str = Field(
        description="What to write instead", examples=["Input should be less than or equal to 23"]
    )
    in_: Literal["body", "query", "path", "header"] = Field(
        default="body", alias="in", description="The part of the request the pointer points into"
    )


class Problem(BaseModel):
    """A refusal (RFC 9457)."""

    type: str = Field(
        description="The kind of problem, described there", examples=["/docs#validation-failed"]
    )
    title: str = Field(examples=["Validation failed"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["1 field is not acceptable."])
    instance: str = Field(description="The path that was asked for", examples=["/api/automations"])
    errors: list[Fault] = Field(default_factory=list, description="Every field at fault")
    trace_id: str | None = Field(default=None, description="Quote it when you ask for help")


_ERRORS: tuple[type[CarillonError], ...] = (RequestError, *RequestError.__subclasses__(), Unavailable)
PROBLEM_TITLES: Mapping[int, str] = {error.status_code: error.title for error in _ERRORS}
"""The title of each status this API answers with; anything else has HTTP's own phrase."""


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for the problems an operation answers with."""
    return {
        status: {
            "description": title_of(status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def title_of(status: int) -> str:
    """What a status is called."""
    return PROBLEM_TITLES.get(status) or HTTPStatus(status).phrase


def slug(title: str) -> str:
    """A title as the fragment that documents it."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def problem_response(
    request: Request,
    status: int,
    detail: str,
    *,
    title: str | None = None,
    errors: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response; its title is the status's, unless it has one of its own."""
    title = title or title_of(status)
    context = trace.get_current_span().get_span_context()
    problem = Problem(
        type=f"/docs#{slug(title)}",
        title=title,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=list(errors),
        trace_id=f"{context.trace_id:032x}" if context.is_valid else None,
    )
    return JSONResponse(
        problem.model_dump(by_alias=True, exclude_none=True),
        status_code=status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def faults_of(error: RequestValidationError) -> list[Fault]:
    """FastAPI's validation errors, each field once, without the values."""
    faults: dict[tuple[str, str], Fault] = {}
    for item in error.errors():
        where, *path = item["loc"]
        place = where if where in ("query", "path", "header") else "body"
        if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
            path = [*path, item["ctx"]["discriminator"].strip("'")]
        elif place == "body":
            path = within(error.body, path, missing=item["type"] == "missing")
        fault = Fault(pointer=pointer(path)[:MAX_POINTER], detail=in_words(item), **{"in": place})
        faults.setdefault((place, fault.pointer), fault)
    return list(faults.values())


def unacceptable(faults: Sequence[FieldError]) -> Unprocessable:
    """The refusal of a body whose fields are at fault."""
    return Unprocessable(_count(len(faults)), errors=faults)


def _count(faults: int) -> str:
    if faults > MAX_FAULTS:
        return f"{faults} fields are not acceptable; the first {MAX_FAULTS} are named."
    return "1 field is not acceptable." if faults == 1 else f"{faults} fields are not acceptable."


_PLACES: Mapping[type[Unprocessable], str] = {BadParameter: "query", BadHeader: "header"}


async def _refused(request: Request, error: CarillonError) -> Response:
    given: tuple[FieldError, ...] = error.errors if isinstance(error, RequestError) else ()
    place = next((part for kind, part in _PLACES.items() if isinstance(error, kind)), "body")
    errors = [
        Fault(pointer=item.pointer[:MAX_POINTER], detail=item.detail, **{"in": place})
        for item in given[:MAX_FAULTS]
    ]
    return problem_response(
        request,
        error.status_code,
        error.detail,
        title=error.title if isinstance(error, RequestError) else None,
        errors=errors,
        headers=headers_of(error),
    )


def headers_of(error: CarillonError) -> Mapping[str, str]:
    """The headers that go with a refusal."""
    if isinstance(error, TooManyRequests):
        return {"Retry-After": str(error.retry_after)}
    return _HEADERS.get(error.status_code, {})


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    if request.url.path in request.app.state.fixed_paths and any(
        fault["loc"][0] == "path" for fault in error.errors()
    ):
        # A path of another method, such as `GET …/kinds`, was taken for one with an id.
        return await _http(request, HTTPException(405))
    errors = faults_of(error)
    return problem_response(request, 422, _count(len(errors)), errors=errors[:MAX_FAULTS])


async def _http(request: Request, error: HTTPException) -> Response:
    headers = error.headers
    if error.status_code == 405:
        # Starlette names the methods of the first route of this path only, and of a mount none.
        headers = {"Allow": ", ".join(_allowed(request))}
    return problem_response(request, error.status_code, str(error.detail), headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods that the request's path has."""
    fixed: set[str] | None = request.app.state.fixed_paths.get(request.url.path)
    if fixed is not None:
        return sorted(fixed)
    methods = []
    for method in _METHODS:
        asked = {**request.scope, "method": method, "path_params": {}}
        asked["root_path"] = asked.get("app_root_path", "")
        matching = (route for route in request.app.router.routes if route.matches(asked)[0] is Match.FULL)
        route = next(matching, None)
        if route is not None and (method in _READING or not isinstance(route, Mount)):
            methods.append(method)
    return methods


_TAKEN: Mapping[str, FieldError] = {
    "uq_automation_job_name": FieldError("/name", "you have a recording job of this name already"),
}
"""The unique indexes that decide between two requests at once, and what the later one is told."""


async def _database(request: Request, error: DBAPIError) -> Response:
    """Another request was faster, the database went away or resolved a deadlock; else a defect."""
    cause = getattr(error.orig, "__cause__", None)
    taken = _TAKEN.get(getattr(cause, "constraint_name", None) or "")
    if taken is not None:
        return await _refused(request, Conflict("The name is taken.", errors=[taken]))
    if not error.connection_invalidated and not isinstance(cause, TRANSIENT_DATABASE_ERRORS):
        raise error
    log.warning("request interrupted", error=type(cause).__name__, path=request.url.path)
    return await _refused(request, Unavailable("The database was interrupted; try again."))


async def _driver(request: Request, error: Exception) -> Response:
    """The same for the statements that are shared with the other services, which know no SQLAlchemy."""
    if not isinstance(error, TRANSIENT_DATABASE_ERRORS):
        raise error
    log.warning("request interrupted", error=type(error).__name__, path=request.url.path)
    return await _refused(request, Unavailable("The database was interrupted; try again."))


async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
    return Response(status_code=400)  # the client is gone: this is not received


async def unexpected(request: Request, error: Exception) -> Response:
    """The answer to a defect of ours. It says nothing about it; the log says everything."""
    log.error("request failed", path=request.url.path, method=request.method, exc_info=error)
    return problem_response(request, 500, "Something went wrong on our side. It has been logged.")


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Answer every refusal and every failure with a problem document."""
    fixed: dict[str, set[str]] = defaultdict(set)
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, Route | APIRoute) and "{" not in route.path:
            fixed[route.path] |= set(route.methods or ())
    app.state.fixed_paths = dict(fixed)
    app.exception_handler(CarillonError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(DBAPIError)(_database)
    for raised in (asyncpg.PostgresError, asyncpg.InterfaceError):
        app.exception_handler(raised)(_driver)
    app.exception_handler(ClientDisconnect)(_gone)
