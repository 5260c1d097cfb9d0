"""Facebook's rules: the Graph API's envelope, its error codes, and what its reading endpoints answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from common.errors import Consequence
from platforms.facebook.oauth import FacebookUser
from platforms.facebook.settings import FacebookSettings
from platforms.oauth.base import Stored, TokenSet
from tests.conformance.vendors.rules import (
    TOKEN,
    Answer,
    Containing,
    Like,
    Refused,
    Request,
    Returns,
    Rule,
    fault,
    limits,
)
from tests.support.platforms.base import Caller, Site
from tests.support.platforms.facebook import FacebookDriver

T, RATE, SPLIT, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REAUTH
PERM, GONE, INVALID, BLOCKED = Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.BLOCKED

USER = "sandbox-fb-rules"
ACCOUNT = "act_402210009451117"
PAGE = "106480015220733"
PAGE_TOKEN = f"sandbox-page-{PAGE}-rules"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEARER = {"authorization": f"Bearer {TOKEN}"}

INSIGHTS_ERRORS = "Marketing API, Insights API: error codes"
GRAPH_ERRORS = "Graph API, Handling errors: error codes"
TOKEN_ERRORS = "Graph API, Handling errors: authentication error subcodes"
RATE_LIMITS = "Graph API, Rate limits: error codes and headers"
PAGE_INSIGHTS = "Graph API, Page insights: limits"
LONG_LIVED = "Facebook Login, Access tokens: get long-lived tokens"
SECURE_REQUESTS = "Facebook Login, Secure requests: appsecret_proof"


async def ask(site: Site, caller: Caller) -> object:
    """An ad account's figures."""
    return await FacebookDriver(site, caller).ask()


def insights(node: str = ACCOUNT, **params: str) -> Request:
    """An insights query."""
    return Request("GET", f"/v26.0/{node}/insights", {"fields": "spend", **params}, headers=BEARER)


OURS = insights(level="account")


def get(path: str, **params: str) -> Request:
    """Any other read."""
    return Request("GET", path if path.startswith("/") else f"/v26.0/{path}", params, headers=BEARER)


def error(
    code: int,
    subcode: int | None = None,
    *,
    status: int = 400,
    says: str | Like | Containing = Like(f"(#1) about {USER}"),
    headers: Mapping[str, str | Like | Containing | None] | None = None,
    **more: object,
) -> Answer:
    """The error envelope, which never comes with a Retry-After."""
    members: dict[str, object] = {"message": says, "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        members["error_subcode"] = subcode
    body = {"error": {**members, "fbtrace_id": Like("AbCdEfGhIjKlMnOpQrStUvW")}}
    given = {"content-type": "application/json; charset=UTF-8", "retry-after": None, **(headers or {})}
    return Answer(status, body, given)


def rule(
    name: str,
    source: str,
    request: Request,
    answer: Answer,
    consequence: Consequence,
    *,
    wait: float | None = None,
    token: str = USER,
    given: Sequence[Request] = (),
    **settings: object,
) -> Rule:
    """A refusal; our client makes another request and gets the same answer, unless it makes this one."""
    assert isinstance(answer.body, Mapping)
    told = answer.body["error"]
    subcode = told.get("error_subcode")
    code = f"{told['code']}/{subcode}" if subcode else str(told["code"])
    return Rule(
        f"facebook {name}",
        source,
        request,
        answer,
        Refused(consequence, code, 60.0 if consequence is RATE and wait is None else wait),
        ask,
        token,
        given,
        settings,
        is_ours=request == OURS,
    )


def _coded(code: str, status: int, consequence: Consequence, source: str) -> Rule:
    number, _, subcode = code.partition("/")
    return rule(
        f"code {code} with HTTP {status}",
        source,
        OURS,
        error(int(number), int(subcode) if subcode else None, status=status),
        consequence,
        given=[fault("code", code=code, status=status)],
    )


_CODES: Mapping[str, Sequence[tuple[Consequence, int, str]]] = {
    GRAPH_ERRORS: [
        (T, 500, "1"),
        (T, 503, "2"),
        (T, 400, "104 960 2642 2650"),
        (PERM, 403, "3 10 200 250 294 299"),
        (BLOCKED, 403, "368"),
        (REAUTH, 401, "102 190"),
        (REAUTH, 200, "190/463"),
        (GONE, 404, "33 803"),
        (GONE, 400, "100/33"),
        (INVALID, 400, "100 506 2500 2601 2635 3001 100/36009"),
        (T, 500, "424242"),
        (RATE, 429, "424242"),
        (PERM, 403, "424242"),
        (INVALID, 400, "424242"),
    ],
    TOKEN_ERRORS: [(REAUTH, 400, "190/458 190/459 190/460 190/464 190/467 190/492 190/493 102/463")],
    RATE_LIMITS: [
        (RATE, 403, "4 32"),
        (RATE, 400, "17 17/2446079 341 613 613/1487742 613/1996 613/5044001"),
        (RATE, 400, "80000 80001 80002 80003 80004 80004/2446079 80005 80006 80008 80009 80014"),
        (RATE, 200, "80000"),
    ],
    INSIGHTS_ERRORS: [
        (RATE, 403, "4/1504022 4/1504039"),
        (SPLIT, 500, "1/99 2/1504038"),
        (SPLIT, 400, "100/1504018 100/1487534"),
        (T, 500, "2/1504043 2/1504044"),
        (T, 400, "-2/2490547"),
        (INVALID, 400, "2/1504041 2/1504042 3018 3001/1504028"),
    ],
}
CODES = [
    _coded(code, status, consequence, source)
    for source, rows in _CODES.items()
    for consequence, status, codes in rows
    for code in codes.split()
]

DEAD_TOKENS = [
    rule(
        f"token {token}",
        TOKEN_ERRORS,
        OURS,
        error(
            190,
            subcode,
            headers={"www-authenticate": Containing('OAuth "Facebook Platform" "invalid_token" "')},
        ),
        REAUTH,
        token=token,
    )
    for token, subcode in (
        ("expired-1", 463),
        ("revoked-1", 467),
        ("password-changed-1", 460),
        ("uninstalled-1", 458),
        ("checkpointed-1", 459),
        ("unconfirmed-1", 464),
        ("role-lost-1", 492),
        ("idle-1", 493),
        ("nonsense-that-is-no-token", None),
        ("EAAnot-base32!", None),
    )
]

_RANGE = '{"since":"2023-10-20","until":"2023-10-22"}'
_HUGE = {"level": "ad", "date_preset": "maximum", "time_increment": "1"}
QUERIES = [
    rule("without ads_read", GRAPH_ERRORS, OURS, error(200, status=403), PERM, token="unscoped-1"),
    rule(
        "unknown ad account",
        GRAPH_ERRORS,
        insights("act_1"),
        error(100, 33, type="GraphMethodException"),
        GONE,
    ),
    rule(
        "unknown object", GRAPH_ERRORS, get("12345678901"), error(100, 33, type="GraphMethodException"), GONE
    ),
    rule("unknown name", GRAPH_ERRORS, get("nobody-we-know"), error(803, status=404), GONE),
    rule("unknown path", GRAPH_ERRORS, get("oauth/nothing"), error(2500), INVALID),
    rule("unknown version", GRAPH_ERRORS, get("/v99.0/me"), error(2500), INVALID),
    rule(
        "unknown field",
        GRAPH_ERRORS,
        get(ACCOUNT, fields="name,colour"),
        error(100, says="(#100) Tried accessing nonexisting field (colour) on node type (AdAccount)"),
        INVALID,
    ),
    rule(
        "unknown cursor",
        "Graph API, Paginated results",
        get("me/adaccounts", after="bm90aGluZw"),
        error(100, says="(#100) Invalid cursors values"),
        INVALID,
    ),
    rule(
        "older than 37 months",
        INSIGHTS_ERRORS,
        insights(time_range=_RANGE),
        error(3018, says=Containing("beyond 37 months from the current date")),
        INVALID,
    ),
    rule(
        "too much data in one query",
        INSIGHTS_ERRORS,
        insights(**_HUGE),
        error(1, 99, status=500),
        SPLIT,
        facebook_sync_rows=100,
    ),
    rule(
        "too much data in one page",
        INSIGHTS_ERRORS,
        insights(limit="5000", **_HUGE),
        error(1, status=500, says=Containing("reduce the amount of data")),
        SPLIT,
    ),
    *(
        rule(
            f"insights with {name}={value}",
            INSIGHTS_ERRORS,
            insights(**{name: value}),
            error(100, says=Containing(says)),
            INVALID,
        )
        for name, value, says in (
            ("fields", "spend,landing_page_views", "landing_page_views is not valid for fields param"),
            ("level", "banner", "level must be one of the following values"),
            ("date_preset", "last_month_or_so", "date_preset must be one of"),
            ("breakdowns", "age", "breakdowns"),
            ("time_increment", "91", "time_increment"),
            ("time_range", "last week", "param time_range must be a JSON object"),
            ("time_range", '{"since":"2026-11-05","until":"2026-11-01"}', "must not be after"),
            ("filtering", '[{"field":"mood","operator":"EQUAL","value":1}]', "'mood'"),
            ("sort", "spend_descending", "sort"),
            ("limit", "0", "limit"),
            ("limit", "many", "limit"),
        )
    ),
    *(
        rule(
            f"page metric {metric}",
            PAGE_INSIGHTS,
            get(f"{PAGE}/insights", metric=f"page_media_view,{metric}"),
            error(100, says="(#100) The value must be a valid insights metric"),
            INVALID,
            token=PAGE_TOKEN,
        )
        for metric in ("page_impressions", "page_fans", "page_engaged_users", "page_never_was")
    ),
    *(
        rule(
            f"page insights with {params}",
            PAGE_INSIGHTS,
            get(f"{PAGE}/insights", **params),
            error(code),
            INVALID,
            token=PAGE_TOKEN,
        )
        for params, code in (
            ({"period": "day"}, 3001),
            ({"metric": "page_media_view", "period": "fortnight"}, 100),
            ({"metric": "page_media_view", "since": "2026-05-01", "until": "2026-11-01"}, 100),
            ({"metric": "page_media_view", "since": "2024-09-01", "until": "2024-09-10"}, 100),
            ({"metric": "page_media_view", "since": "2026-11-05", "until": "2026-11-05"}, 100),
            ({"metric": "page_media_view", "since": "soon"}, 100),
        )
    ),
    rule(
        "page insights with a person's token",
        PAGE_INSIGHTS,
        get(f"{PAGE}/insights", metric="page_follows"),
        error(190),
        REAUTH,
    ),
    rule(
        "page insights with another page's token",
        PAGE_INSIGHTS,
        get(f"{PAGE}/insights", metric="page_follows"),
        error(200, status=403),
        PERM,
        token="sandbox-page-106480015221466-rules",
    ),
    rule(
        "51 requests in a batch",
        "Graph API, Batch requests: limits",
        Request(
            "POST",
            "/v26.0/",
            form={"access_token": TOKEN, "batch": json.dumps([{"method": "GET", "relative_url": "me"}] * 51)},
        ),
        error(1, says=Containing("Maximum batch size is 50")),
        T,
    ),
    rule(
        "a report that is not finished",
        "Marketing API, Insights API: asynchronous jobs",
        get("{report}/insights"),
        error(2601),
        INVALID,
        given=[
            Request(
                "POST",
                f"/v26.0/{ACCOUNT}/insights",
                form={"access_token": TOKEN, "fields": "spend"},
                captures={"report": r'"report_run_id":"(\d+)"'},
            )
        ],
    ),
    rule(
        "no appsecret_proof where the app requires it",
        SECURE_REQUESTS,
        OURS,
        error(100, says=Containing("require an appsecret_proof"), type="GraphMethodException"),
        INVALID,
        facebook_app_id="123",
        facebook_app_secret="app_secret",
        facebook_require_proof=True,
    ),
    rule(
        "a wrong appsecret_proof",
        SECURE_REQUESTS,
        get("me", appsecret_proof="0" * 64),
        error(100, says="Invalid appsecret_proof provided in the API argument", type="GraphMethodException"),
        INVALID,
        facebook_app_id="123",
        facebook_app_secret="app_secret",
    ),
]

_REGAIN = '{"402210009451117":[{"type":"ads_insights","call_count":100,"total_cputime":1,"total_time":1,'
LIMITS = [
    rule(
        "limit of an ad account",
        RATE_LIMITS,
        OURS,
        error(
            80000,
            headers={"x-business-use-case-usage": Like(_REGAIN + '"estimated_time_to_regain_access":60}]}')},
        ),
        RATE,
        wait=3_600,
        given=[limits(facebook_account_calls_per_hour=1), OURS],
    ),
    rule(
        "limit of the app",
        RATE_LIMITS,
        OURS,
        error(4, status=403, says="(#4) Application request limit reached", is_transient=True),
        RATE,
        given=[limits(facebook_app_calls_per_hour=1), get("me")],
    ),
    rule(
        "a server error",
        GRAPH_ERRORS,
        OURS,
        error(2, status=500, is_transient=True),
        T,
        given=[fault("server_error")],
    ),
]

EXCHANGE = Request(
    "POST",
    "/v26.0/oauth/access_token",
    form={
        "grant_type": "fb_exchange_token",
        "client_id": "123",
        "client_secret": "hush-facebook",
        "fb_exchange_token": TOKEN,
    },
)


async def renew(site: Site, caller: Caller) -> object:
    """A longer-lived token for one that still lives."""
    settings = FacebookSettings(
        facebook_base_url=site.url,
        facebook_app_id="123",
        facebook_app_secret=SecretStr("hush-facebook"),
    )
    grant = FacebookUser(site.http, settings)
    return await grant.renew(Stored(caller.token, expires_at=NOW + timedelta(days=1)), now=NOW)


def _exchange(
    code: str,
    consequence: Consequence,
    *,
    says: str | Like | Containing = Like("no hush-facebook"),
    status: int = 400,
    token: str = USER,
    given: Sequence[Request] | None = None,
    **settings: object,
) -> Rule:
    number, _, subcode = code.partition("/")
    message = {"message": says} if isinstance(says, str) else {}
    scripted = [fault("code", code=code, status=status, **message)]
    return Rule(
        f"facebook token: {code} with HTTP {status} for {token}: {says}",
        LONG_LIVED,
        EXCHANGE,
        error(int(number), int(subcode) if subcode else None, status=status, says=says),
        Refused(consequence, code),
        renew,
        token,
        scripted if given is None else given,
        settings,
    )


OAUTH = [
    _exchange("190/460", REAUTH),
    _exchange("190/463", REAUTH, status=401),
    _exchange("102", REAUTH),
    _exchange("100/36009", REAUTH, says="This authorization code has been used."),
    _exchange("100/36007", REAUTH, says="This authorization code has expired."),
    _exchange("100/36008", INVALID),
    _exchange("1", INVALID, says="Error validating client secret."),
    _exchange("1", T, says="An unknown error occurred", status=500),
    _exchange("2", T, status=500),
    _exchange("101", INVALID),
    _exchange("4", RATE, status=403),
    _exchange("10", PERM, status=403),
    _exchange("190/463", REAUTH, token="expired-1", given=[]),
    _exchange(
        "1",
        INVALID,
        says="Error validating client secret.",
        given=[],
        facebook_app_id="123",
        facebook_app_secret="real",
    ),
    Rule(
        "facebook token: a longer-lived token",
        LONG_LIVED,
        EXCHANGE,
        Answer(200, {"access_token": Like("EAAnext"), "token_type": "bearer", "expires_in": 5_183_944}),
        Returns(TokenSet("EAAnext", expires_at=NOW + timedelta(seconds=5_183_944))),
        renew,
        USER,
    ),
]

RULES: Sequence[Rule] = [*CODES, *DEAD_TOKENS, *QUERIES, *LIMITS, *OAUTH]
