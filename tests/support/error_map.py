"""One of the vendors' rules for each consequence, to test what follows, and every answer of a channel."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import httpx
import pytest

from common.errors import Consequence
from common.models import ConnectionKind
from executor.handlers.base import RunContext
from platforms.facebook import FACEBOOK_USER
from platforms.facebook.graph import Graph
from platforms.facebook.graph import Target as GraphTarget
from platforms.facebook.wire import Endpoint
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_business.client import Business
from platforms.tiktok_organic import TIKTOK_ORGANIC
from platforms.tiktok_organic.client import Organic
from platforms.zoom import ZOOM_USER
from platforms.zoom.api import Target as ZoomTarget
from platforms.zoom.api import ZoomApi
from platforms.zoom.usage import Category
from tests.conformance.vendors import facebook, tiktok_business, tiktok_organic, zoom
from tests.conformance.vendors.rules import Answer, Refused, Rule, body_of, example

Ask = Callable[[RunContext, httpx.AsyncClient], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """One error as a platform tells it, and its class in the map."""

    answer: httpx.Response
    expected: str
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Platform:
    """How one platform is asked, and what a token of it looks like to be used up and renewed."""

    kind: ConnectionKind
    ask: Ask


async def ask_facebook(context: RunContext, http: httpx.AsyncClient) -> object:
    """One call of the Graph API."""
    account = context.accounts[0]
    graph = Graph(
        http,
        Endpoint("https://graph.example", "v26.0"),
        await account.credential.current(),
        limiter=context.limiter,
        scope=str(context.tenant_id),
        connection_id=account.connection_id,
        batched=False,
    )
    return await graph.get(GraphTarget("me/adaccounts", "me/adaccounts"), {})


async def ask_tiktok_business(context: RunContext, http: httpx.AsyncClient) -> object:
    """One call of the Business API, as an advertiser."""
    account = context.accounts[0]
    business = Business(
        http,
        "https://business.example",
        account.credential,
        limiter=context.limiter,
        scope=str(context.tenant_id),
        connection_id=account.connection_id,
    )
    return await business.get("advertiser/info/", {})


async def ask_tiktok_organic(context: RunContext, http: httpx.AsyncClient) -> object:
    """One call of the API for creators."""
    account = context.accounts[0]
    organic = Organic(
        http,
        "https://open.example",
        account.credential,
        limiter=context.limiter,
        scope=str(context.tenant_id),
        connection_id=account.connection_id,
        scopes=("user.info.basic",),
    )
    return await organic.profile()


async def ask_zoom(context: RunContext, http: httpx.AsyncClient) -> object:
    """One call of Zoom's API."""
    account = context.accounts[0]
    api = ZoomApi(
        http,
        "https://zoom.example/v2",
        account.credential,
        limiter=context.limiter,
        account=str(context.tenant_id),
        connection_id=account.connection_id,
    )
    return await api.get(ZoomTarget("users/me", "users/me", Category.LIGHT), {})


PLATFORMS: Mapping[str, Platform] = {
    "facebook": Platform(FACEBOOK_USER, ask_facebook),
    "tiktok_business": Platform(TIKTOK_BUSINESS, ask_tiktok_business),
    "tiktok_organic": Platform(TIKTOK_ORGANIC, ask_tiktok_organic),
    "zoom": Platform(ZOOM_USER, ask_zoom),
}


def _response(answer: Answer) -> httpx.Response:
    headers = {name: str(example(value)) for name, value in answer.headers.items() if value is not None}
    return httpx.Response(answer.status, content=body_of(answer), headers=headers)


def _one_of_each(vendor: str, rules: Iterable[Rule]) -> Iterable[tuple[str, Row]]:
    """The first rule of each consequence."""
    seen: set[str] = set()
    for rule in rules:
        consequence = (
            rule.concludes.consequence if isinstance(rule.concludes, Refused) else Consequence.REFRESH
        )
        if consequence not in seen:
            seen.add(consequence)
            yield vendor, Row(_response(rule.answer), consequence.name, rule.name)


_MODULES = {
    "facebook": facebook,
    "tiktok_business": tiktok_business,
    "tiktok_organic": tiktok_organic,
    "zoom": zoom,
}
CALLS = [
    row
    for vendor, module in _MODULES.items()
    for row in _one_of_each(
        vendor, [rule for rule in module.RULES if rule.is_ours and rule.ask is module.ask]
    )
]
"""One rule about a call for each consequence a vendor's answers have."""
REFRESHED = [row for row in CALLS if row[1].expected == "REFRESH"]
"""Those that ask for another token."""
RENEWALS = [
    row
    for vendor, rules, renew in (
        ("tiktok_organic", tiktok_organic.OAUTH, tiktok_organic.renew),
        ("zoom", zoom.OAUTH, zoom.renew),
    )
    for row in _one_of_each(
        vendor,
        [
            rule
            for rule in rules
            if rule.is_ours and rule.ask is renew and isinstance(rule.concludes, Refused)
        ],
    )
    if row[1].expected in ("REAUTH", "INVALID")
]
"""One rule about a renewal for each consequence that ends it."""
MISCONFIGURED = [row for row in RENEWALS if row[1].expected == "INVALID"]
"""Those that are the operator's own mistake."""


def telegram_error(status: int, description: str, **parameters: int) -> httpx.Response:
    """An error of the Bot API."""
    document = {"ok": False, "error_code": status, "description": description}
    return httpx.Response(status, json={**document, "parameters": parameters} if parameters else document)


TELEGRAM = [
    pytest.param(telegram_error(status, description, **parameters), expected, id=f"telegram {description}")
    for status, description, expected, parameters in (
        (429, "Too Many Requests: retry after 5", "RATE", {"retry_after": 5}),
        (421, "Misdirected Request: unallowed token specified", "TRANSIENT", {}),
        (500, "Internal Server Error: restart", "TRANSIENT", {}),
        (502, "Bad Gateway", "TRANSIENT", {}),
        (503, "Service Unavailable", "TRANSIENT", {}),
        (504, "Gateway Timeout", "TRANSIENT", {}),
        (401, "Unauthorized", "GONE", {}),
        (403, "Forbidden: bot was blocked by the user", "GONE", {}),
        (400, "Bad Request: chat not found", "GONE", {}),
        (400, "Bad Request: message is too long", "INVALID", {}),
        (400, "Bad Request: message caption is too long", "INVALID", {}),
        (413, "Request Entity Too Large", "INVALID", {}),
        (400, "Bad Request: can't parse entities: Unclosed start tag", "REMEDIED", {}),
        (
            400,
            "Bad Request: group chat was upgraded to a supergroup chat",
            "REMEDIED",
            {"migrate_to_chat_id": -1001234},
        ),
        (400, "Bad Request: message text is empty", "INVALID", {}),
        (404, "Not Found", "INVALID", {}),
        (409, "Conflict: terminated by other getUpdates request", "INVALID", {}),
    )
]
"""Each answer of Telegram, and what becomes of the delivery. A bot whose token is dead is as gone as its
chat; a message that is too long although it was cut to Telegram's limits cannot be cut any further."""

WEBHOOK = [
    *(pytest.param(httpx.Response(status), "OK", id=f"webhook {status}") for status in (200, 204)),
    pytest.param(httpx.Response(410), "GONE", id="webhook 410"),
    *(
        pytest.param(httpx.Response(status, headers={"retry-after": "7"}), "RATE", id=f"webhook {status}")
        for status in (429, 503)
    ),
    *(
        pytest.param(httpx.Response(status), "TRANSIENT", id=f"webhook {status}")
        for status in (301, 400, 401, 404, 422, 500, 502, 504)
    ),
    pytest.param(httpx.ConnectError("refused"), "TRANSIENT", id="webhook network"),
    pytest.param(httpx.ReadTimeout("silent"), "TRANSIENT", id="webhook timeout"),
]
"""Each answer of a webhook's receiver, and what becomes of the delivery."""


def success(platform: str) -> httpx.Response:
    """What the platform answers when all is well."""
    documents: Mapping[str, object] = {
        "facebook": {"data": []},
        "tiktok_business": {"code": 0, "message": "OK", "request_id": "1", "data": {}},
        "tiktok_organic": {
            "data": {"user": {"open_id": "o", "display_name": "Ann"}},
            "error": {"code": "ok", "message": "", "log_id": "1"},
        },
        "zoom": {"id": "u1"},
    }
    return httpx.Response(200, content=json.dumps(documents[platform]).encode())
