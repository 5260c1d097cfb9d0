"""The sandbox's own JSON API under /_sandbox: look at what came in, change how it behaves."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.clock import Clock
from sandbox.faults import Faults, InvalidFault
from sandbox.grants import Grants
from sandbox.inbox import Filter, Inbox
from sandbox.limits import InvalidLimit, Limits
from sandbox.signatures import InvalidSecret
from sandbox.stats import Stats
from sandbox.telegram.chats import STATES, Chats
from sandbox.webhooks import Webhooks
from sandbox.world.deletions import Deletions

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "connect-src 'self'",
        "img-src data:",
    )
)
_LONGEST_WAIT = 60.0
_LARGEST_PAGE = 20_000


class BadRequest(Exception):
    """A request that cannot be carried out; ``field`` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


class Control:
    """The handlers, over the parts they look into."""

    def __init__(
        self,
        clock: Clock,
        inbox: Inbox,
        stats: Stats,
        faults: Faults,
        webhooks: Webhooks,
        chats: Chats,
        limits: Limits,
        deletions: Deletions,
        grants: Sequence[Grants],
        reset: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._inbox = inbox
        self._stats = stats
        self._faults = faults
        self._webhooks = webhooks
        self._chats = chats
        self._limits = limits
        self._deletions = deletions
        self._grants = grants
        self._reset = reset

    async def received(self, request: Request) -> Response:
        """GET /_sandbox/received; with ``wait`` it holds until something matches or the time is up.

        It also answers at once when everything was forgotten since ``generation``, by default since now.
        """
        wanted, limit = self._filter(request)
        found = self._inbox.select(wanted, limit)
        deadline = asyncio.get_running_loop().time() + _number(request, "wait", 0.0, _LONGEST_WAIT)
        generation = int(_number(request, "generation", self._inbox.generation, 1e15))
        while not found and generation == self._inbox.generation and await self._inbox.wait(deadline):
            found = self._inbox.select(wanted, limit)
        return JSONResponse(
            {
                "messages": [record.as_json() for record in found],
                "last_seq": self._inbox.last_seq,
                "generation": self._inbox.generation,
            }
        )

    async def received_count(self, request: Request) -> Response:
        """GET /_sandbox/received/count; with ``at_least`` and ``wait`` it holds until there are that many."""
        wanted, _ = self._filter(request)
        at_least = int(_number(request, "at_least", 0.0, 1e9))
        deadline = asyncio.get_running_loop().time() + _number(request, "wait", 0.0, _LONGEST_WAIT)
        number = self._inbox.count(wanted.kind, wanted.address)
        while number < at_least and await self._inbox.wait(deadline):
            number = self._inbox.count(wanted.kind, wanted.address)
        return JSONResponse({"count": number, "by_kind": self._inbox.counts_by_kind()})

    async def stats(self, request: Request) -> Response:
        """GET /_sandbox/stats"""
        return JSONResponse(
            {
                "calls": self._stats.total(),
                "platforms": self._stats.as_json(),
                "received": self._inbox.counts_by_kind(),
            }
        )

    async def faults(self, request: Request) -> Response:
        """GET, POST and DELETE /_sandbox/faults"""
        if request.method == "POST":
            try:
                fault = self._faults.add(await _body(request))
            except InvalidFault as error:
                raise BadRequest(error.member, error.detail) from None
            return JSONResponse(fault.as_json(), 201)
        if request.method == "DELETE":
            self._faults.clear()
            return Response(status_code=204)
        return JSONResponse({"faults": [fault.as_json() for fault in self._faults]})

    async def fault(self, request: Request) -> Response:
        """DELETE /_sandbox/faults/{id}"""
        if not self._faults.remove(request.path_params["id"]):
            return _problem(404, "id", "is not a fault that is switched on")
        return Response(status_code=204)

    async def hooks(self, request: Request) -> Response:
        """GET /_sandbox/hooks"""
        return JSONResponse({name: hook.as_json() for name, hook in self._webhooks.hooks.items()})

    async def hook(self, request: Request) -> Response:
        """GET and PUT /_sandbox/hooks/{name}"""
        name = request.path_params["name"]
        if request.method == "GET":
            return JSONResponse(self._webhooks.hook(name).as_json())
        wanted = await _body(request)
        secrets = wanted.get("secrets", [wanted["secret"]] if wanted.get("secret") else [])
        if not isinstance(secrets, list) or not all(isinstance(secret, str) for secret in secrets):
            raise BadRequest("secret", "must be text")
        status = wanted.get("status", 200)
        retry_after = wanted.get("retry_after", 0)
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise BadRequest("status", "must be an HTTP status from 200 to 599")
        if not isinstance(retry_after, int) or retry_after < 0:
            raise BadRequest("retry_after", "must be a number of seconds")
        try:
            hook = self._webhooks.configure(
                name, secrets, status, retry_after, reject_invalid=bool(wanted.get("reject_invalid", False))
            )
        except InvalidSecret as error:
            raise BadRequest("secret", str(error)) from None
        return JSONResponse(hook.as_json())

    async def chat(self, request: Request) -> Response:
        """PUT /_sandbox/chats/{id}"""
        wanted = await _body(request)
        state = wanted.get("state")
        if state not in STATES:
            raise BadRequest("state", f"must be one of {', '.join(STATES)}")
        migrate_to = wanted.get("migrate_to_chat_id", 0)
        if not isinstance(migrate_to, int):
            raise BadRequest("migrate_to_chat_id", "must be a chat id")
        try:
            chat_id = int(request.path_params["id"])
        except ValueError:
            raise BadRequest("id", "must be a chat's number") from None
        self._chats.set_state(chat_id, str(state), migrate_to)
        return JSONResponse({"chat_id": chat_id, "state": state})

    async def limits(self, request: Request) -> Response:
        """GET and PUT /_sandbox/limits"""
        if request.method == "PUT":
            try:
                self._limits.change(await _body(request))
            except InvalidLimit as error:
                raise BadRequest(error.name, error.detail) from None
        return JSONResponse(asdict(self._limits))

    async def grants(self, request: Request) -> Response:
        """GET /_sandbox/grants"""
        platform = request.query_params.get("platform", "")
        shown = [book.as_json() for book in self._grants if platform in ("", book.platform)]
        return JSONResponse({"grants": [grant for grants in shown for grant in grants]})

    async def clock(self, request: Request) -> Response:
        """GET and POST /_sandbox/clock"""
        if request.method == "POST":
            wanted = await _body(request)
            if "advance_seconds" in wanted:
                self._clock.advance(_finite(wanted["advance_seconds"], "advance_seconds"))
            elif "set" in wanted:
                self._clock.set(_instant(wanted["set"], "set"))
            else:
                raise BadRequest("advance_seconds", "or set is needed")
        return JSONResponse({"now": self._clock.now(), "iso": self._clock.instant().isoformat()})

    async def ad_object(self, request: Request) -> Response:
        """PUT /_sandbox/ads/{id} has a campaign, a group or an ad `deleted`, or not."""
        wanted, object_id = (await _body(request)).get("deleted"), request.path_params["id"]
        if not isinstance(wanted, bool):
            raise BadRequest("deleted", "must be true or false")
        if wanted:
            self._deletions.add(object_id)
        else:
            self._deletions.remove(object_id)
        return JSONResponse({"id": object_id, "deleted": wanted})

    async def reset(self, request: Request) -> Response:
        """POST /_sandbox/reset"""
        self._reset()
        return Response(status_code=204)

    def _filter(self, request: Request) -> tuple[Filter, int]:
        query = request.query_params
        chat, hook = query.get("chat", ""), query.get("hook", "")
        kind = query.get("kind", "") or ("telegram" if chat else "webhook" if hook else "")
        since = _instant(query["since"], "since") if query.get("since") else 0.0
        if chat.startswith("@"):
            chat = str(self._chats.id_of(chat[1:]))
        wanted = Filter(kind, chat or hook, int(_number(request, "after", 0.0, 1e15)), since)
        return wanted, int(_number(request, "limit", 100.0, _LARGEST_PAGE))


def build_control(control: Control, page: str, platform_routes: Sequence[Route] = ()) -> Starlette:
    """The ASGI application of the control API, with what platforms add to it, and of the ``page`` at /."""

    async def index(request: Request) -> Response:
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def favicon(request: Request) -> Response:
        return Response(status_code=204)

    routes = [
        Route("/", index),
        Route("/healthz", healthz),
        Route("/readyz", healthz),
        Route("/favicon.ico", favicon),
        Route("/_sandbox/received", control.received),
        Route("/_sandbox/received/count", control.received_count),
        Route("/_sandbox/stats", control.stats),
        Route("/_sandbox/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/faults/{id:int}", control.fault, methods=["DELETE"]),
        Route("/_sandbox/hooks", control.hooks),
        Route("/_sandbox/hooks/{name:path}", control.hook, methods=["GET", "PUT"]),
        Route("/_sandbox/chats/{id}", control.chat, methods=["PUT"]),
        Route("/_sandbox/ads/{id}", control.ad_object, methods=["PUT"]),
        Route("/_sandbox/limits", control.limits, methods=["GET", "PUT"]),
        Route("/_sandbox/grants", control.grants),
        Route("/_sandbox/clock", control.clock, methods=["GET", "POST"]),
        Route("/_sandbox/reset", control.reset, methods=["POST"]),
        *platform_routes,
    ]

    async def bad_request(request: Request, error: Any) -> Response:
        return _problem(400, error.field, error.detail)

    return Starlette(routes=routes, exception_handlers={BadRequest: bad_request})


def _problem(status: int, field: str, detail: str) -> Response:
    """An RFC 9457 problem document."""
    document = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": f"{field} {detail}",
        "field": field,
    }
    return JSONResponse(document, status, media_type="application/problem+json")


async def _body(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body())
    except ValueError:
        raise BadRequest("body", "must be JSON") from None
    if not isinstance(document, dict):
        raise BadRequest("body", "must be a JSON object")
    return document


def _number(request: Request, name: str, default: float, largest: float) -> float:
    raw = request.query_params.get(name)
    if raw is None or raw == "":
        return default
    try:
        number = float(raw)
    except ValueError:
        raise BadRequest(name, "must be a number") from None
    if not 0 <= number <= largest:
        raise BadRequest(name, f"must be from 0 to {largest:g}")
    return number


def _finite(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e10:
        raise BadRequest(name, "must be a number of seconds")
    return float(value)


def _instant(value: Any, name: str) -> float:
    """Unix seconds, given as a number or as ISO 8601 with an offset."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise BadRequest(name, "must be Unix seconds or an ISO 8601 time") from None
        if moment.tzinfo is None:
            raise BadRequest(name, "must say its offset from UTC")
        return moment.timestamp()
    return _finite(value, name)
