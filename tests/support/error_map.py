"""Every row of the platforms' error map, and how each platform tells it: real clients over a fake wire.

The expectations are written down here once more, from the vendors' documents, and not taken from the tables
under test.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import pytest

from common.models import ConnectionKind
from executor.handlers.base import RunContext
from platforms.facebook.graph import Graph
from platforms.facebook.graph import Target as GraphTarget
from platforms.facebook.wire import Endpoint
from platforms.tiktok_business.client import Business
from platforms.tiktok_organic.client import Organic
from platforms.zoom.api import Target as ZoomTarget
from platforms.zoom.api import ZoomApi
from platforms.zoom.usage import Category

Ask = Callable[[RunContext, httpx.AsyncClient], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """One error as a platform tells it, and its class in the map."""

    answer: httpx.Response
    expected: str


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
    "facebook": Platform(ConnectionKind.FACEBOOK_USER, ask_facebook),
    "tiktok_business": Platform(ConnectionKind.TIKTOK_BUSINESS, ask_tiktok_business),
    "tiktok_organic": Platform(ConnectionKind.TIKTOK_ORGANIC, ask_tiktok_organic),
    "zoom": Platform(ConnectionKind.ZOOM_USER, ask_zoom),
}


def facebook_error(code: str, status: int = 400) -> httpx.Response:
    """`code` or `code/subcode`."""
    number, _, subcode = code.partition("/")
    error: dict[str, object] = {
        "message": f"(#{number}) Something",
        "type": "OAuthException",
        "code": int(number),
        "fbtrace_id": "A1b2C3d4E5f",
    }
    if subcode:
        error["error_subcode"] = int(subcode)
    return httpx.Response(status, json={"error": error})


def business_error(code: int) -> httpx.Response:
    """Nearly always under HTTP 200."""
    document = {"code": code, "message": f"Error {code}", "request_id": "2026110410", "data": {}}
    return httpx.Response(200, json=document)


def organic_error(code: str, status: int) -> httpx.Response:
    """The envelope of a resource."""
    return httpx.Response(
        status, json={"data": {}, "error": {"code": code, "message": f"Error {code}", "log_id": "2026"}}
    )


def zoom_error(status: int, code: int | None = None, **headers: str) -> httpx.Response:
    """`code` is the number in the body."""
    body = {"message": "Something"} if code is None else {"code": code, "message": "Something"}
    return httpx.Response(status, json=body, headers=headers)


def oauth_error(error: str, status: int = 400, **more: str) -> httpx.Response:
    """RFC 6749, as both TikTok and Zoom have it."""
    return httpx.Response(status, json={"error": error, **more})


_FACEBOOK: Mapping[str, Iterable[str]] = {
    "RATE": [
        "4",
        "17",
        "32",
        "341",
        "613",
        "80000",
        "80001",
        "80002",
        "80003",
        "80004",
        "80005",
        "80006",
        "80008",
        "80009",
        "80014",
    ],
    "TRANSIENT": ["1", "2", "960", "2650", "2/1504043", "2/1504044", "-2/2490547"],
    "SPLIT": ["1/99", "100/1504018", "2/1504038", "100/1487534"],
    "REAUTH": ["102", "190", "190/458", "190/460", "190/463", "190/467", "190/492"],
    "PERM": ["3", "10", "200", "294", "299"],
    "GONE": ["33", "803", "100/33"],
    "INVALID": ["100", "506", "2500", "2601", "3001", "3018", "2/1504041", "2/1504042"],
    "BLOCKED": ["368"],
}
_BUSINESS: Mapping[str, Iterable[int]] = {
    "OK": (0,),
    "RATE": (40016, 40100, 40132, 40133),
    "TRANSIENT": (40201, 40202, 40902, 40903, 40913, 50000, 50002, 51000, 51999, 60001, 20001),
    "SPLIT": (40011,),
    # An advertiser's token has no successor: what asks a creator's to be renewed asks for a person.
    "REAUTH": (40102, 40103, 40105, 40106, 40107, 40110, 40114, 40119, 40120),
    "PERM": (40001, 40003, 40113, 40118, 40124, 40125, 40130, 40131, 41000),
    "GONE": (40007, 40300, 40301, 40302),
    "INVALID": (
        *(40000, 40002, 40006, 40008, 40009, 40010, 40013, 40014, 40050, 40051, 40101, 40104, 40108),
        *(40115, 40116, 40117, 40200, 40400, 40700, 41001, 41002),
    ),
}
_ORGANIC = {
    "access_token_invalid": (401, "REFRESH"),
    "scope_not_authorized": (401, "PERM"),
    "scope_permission_missed": (400, "PERM"),
    "rate_limit_exceeded": (429, "RATE"),
    "internal_error": (500, "TRANSIENT"),
    "invalid_params": (400, "INVALID"),
    "invalid_file_upload": (400, "INVALID"),
}
_ZOOM: Mapping[tuple[int, int | None], str] = {
    (401, 124): "REFRESH",
    (400, 4711): "PERM",
    (401, 4711): "PERM",
    (401, 4700): "PERM",
    (400, 200): "PERM",
    (400, 1010): "PERM",
    (403, 3): "PERM",
    (403, None): "PERM",
    (400, 300): "INVALID",
    (409, 1234): "INVALID",
    (404, 1001): "GONE",
    (404, 3001): "GONE",
    (404, 3301): "GONE",
    (500, None): "TRANSIENT",
    (503, 1): "TRANSIENT",
    (429, 429): "RATE",
}

_ROWS: Sequence[tuple[str, str, Row]] = [
    *(
        ("facebook", f"facebook {code}", Row(facebook_error(code), name))
        for name, codes in _FACEBOOK.items()
        for code in codes
    ),
    *(
        ("tiktok_business", f"tiktok business {code}", Row(business_error(code), name))
        for name, numbers in _BUSINESS.items()
        for code in numbers
    ),
    *(
        ("tiktok_organic", f"tiktok organic {code}", Row(organic_error(code, status), name))
        for code, (status, name) in _ORGANIC.items()
    ),
    *(
        ("zoom", f"zoom {status} {code}", Row(zoom_error(status, code), name))
        for (status, code), name in _ZOOM.items()
    ),
]
CALLS = [pytest.param(platform, row, id=label) for platform, label, row in _ROWS]
"""Every row about a call, by platform."""
REFRESHED = [
    pytest.param(platform, row, id=label) for platform, label, row in _ROWS if row.expected == "REFRESH"
]
"""Those that ask for another token."""

_OAUTH_INVALID = (
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
)
_RENEWALS: Sequence[tuple[str, str, Row]] = [
    *(
        ("tiktok_organic", error, Row(oauth_error(error), "REAUTH"))
        for error in ("invalid_grant", "access_denied")
    ),
    *(("tiktok_organic", error, Row(oauth_error(error), "INVALID")) for error in _OAUTH_INVALID),
    ("zoom", "invalid_grant", Row(oauth_error("invalid_grant"), "REAUTH")),
    ("zoom", "dead token", Row(oauth_error("invalid_request", reason="Invalid Token!"), "REAUTH")),
    *(
        ("zoom", error, Row(oauth_error(error, 401), "INVALID"))
        for error in ("invalid_client", "unauthorized_client")
    ),
]
RENEWALS = [pytest.param(platform, row, id=f"{platform} {label}") for platform, label, row in _RENEWALS]
"""Every row about a renewal, by platform."""
MISCONFIGURED = [
    pytest.param(platform, row, id=f"{platform} {label}")
    for platform, label, row in _RENEWALS
    if row.expected == "INVALID"
]
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
