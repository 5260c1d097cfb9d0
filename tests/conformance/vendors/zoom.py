"""Zoom's rules: its REST API, its sign-in, and the rate limits that both headers and texts tell."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from common.errors import Consequence
from platforms.oauth.base import Stored, TokenSet
from platforms.zoom.oauth import ZoomUser
from platforms.zoom.settings import ZoomSettings
from tests.conformance.vendors.rules import (
    TOKEN,
    Answer,
    Containing,
    Like,
    Refused,
    Renewed,
    Request,
    Returns,
    Rule,
    clock,
    fault,
    limits,
)
from tests.support.platforms.base import Caller, Site
from tests.support.platforms.zoom import ZoomDriver

T, RATE, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.REAUTH
PERM, GONE, INVALID = Consequence.PERM, Consequence.GONE, Consequence.INVALID

PERSON = "sandbox-zoom-rules"
WHOLE_ACCOUNT = "sandbox-zoom-account-rules"
REFRESH = "sandbox-zoom-refresh-rules"
BEARER = {"authorization": f"Bearer {TOKEN}"}
BASIC = {"authorization": "Basic " + base64.b64encode(b"app:hush-zoom").decode()}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ERRORS = "Zoom API, Error definitions"
RECORDINGS = "Zoom API, Cloud recording: list all recordings"
MEETING = "Zoom API, Cloud recording: get meeting recordings"
OAUTH_PAGE = "Zoom, OAuth 2.0: errors"
LIMITS_PAGE = "Zoom API, Rate limits: headers"

OURS = Request("GET", "/zoom/v2/users/me", headers=BEARER)
LIST = "users/me/recordings"
FINE = Answer(200, {"id": Like("u")})


async def ask(site: Site, caller: Caller) -> object:
    """Whose token it is."""
    return await ZoomDriver(site, caller).ask()


async def renew(site: Site, _caller: Caller) -> object:
    """Another pair for a refresh token."""
    grant = ZoomUser(
        site.http,
        ZoomSettings(
            zoom_oauth_url=f"{site.url}/zoom/oauth",
            zoom_base_url=f"{site.url}/zoom/v2",
            zoom_client_id="app",
            zoom_client_secret=SecretStr("hush-zoom"),
        ),
    )
    return await grant.renew(Stored("old", REFRESH), now=NOW)


def get(path: str, **params: str) -> Request:
    """Any other read."""
    return Request("GET", f"/zoom/v2/{path}", params, headers=BEARER)


def habits(**document: object) -> Request:
    """Habits of Zoom that differ between accounts and times."""
    return Request("PUT", "/_sandbox/zoom", document=document)


def refusal(
    status: int,
    code: int,
    says: str | Like | Containing = Like(f"about {PERSON}"),
    headers: Mapping[str, str | Like | Containing | None] | None = None,
    **more: object,
) -> Answer:
    """An error of the REST API."""
    return Answer(status, {"code": code, "message": says, **more}, headers or {})


def rule(
    name: str,
    source: str,
    request: Request,
    answer: Answer,
    consequence: Consequence,
    *,
    wait: float | None = None,
    token: str = PERSON,
    given: Sequence[Request] = (),
    **settings: object,
) -> Rule:
    """A refused call."""
    assert isinstance(answer.body, Mapping)
    concludes = (
        Renewed(FINE)
        if consequence is Consequence.REFRESH
        else Refused(consequence, str(answer.body["code"]), wait)
    )
    return Rule(
        f"zoom {name}",
        source,
        request,
        answer,
        concludes,
        ask,
        token,
        given,
        settings,
        is_ours=request == OURS,
    )


_CODES = (
    (401, 124, Consequence.REFRESH),
    (401, 1, Consequence.REFRESH),
    (400, 4711, PERM),
    (401, 4711, PERM),
    (401, 4700, PERM),
    (400, 200, PERM),
    (400, 1010, PERM),
    (403, 3, PERM),
    (403, 3001, PERM),
    (400, 300, INVALID),
    (409, 1234, INVALID),
    (404, 1001, GONE),
    (404, 3001, GONE),
    (404, 3301, GONE),
    (500, 500, T),
    (503, 1, T),
)
CODES = [
    rule(
        f"code {code} with HTTP {status}",
        ERRORS,
        OURS,
        refusal(status, code),
        consequence,
        given=[fault("code", code=code, status=status)],
    )
    for status, code, consequence in _CODES
]

_PER_SECOND = "You have reached the maximum per-second rate limit for this API. Try again later."
_PER_DAY = Containing("You have reached the maximum daily rate limit for this API.")
LIMITS = [
    rule(
        "limit of a second",
        LIMITS_PAGE,
        OURS,
        refusal(
            429,
            429,
            _PER_SECOND,
            {
                "x-ratelimit-category": "Light",
                "x-ratelimit-type": "QPS",
                "x-ratelimit-limit": "1",
                "x-ratelimit-remaining": "0",
                "retry-after": None,
            },
        ),
        RATE,
        wait=1.0,
        given=[limits(zoom_light_per_second=1), OURS],
    ),
    rule(
        "limit of a second without headers",
        LIMITS_PAGE,
        OURS,
        refusal(429, 429, _PER_SECOND, {"x-ratelimit-type": None}),
        RATE,
        wait=1.0,
        given=[limits(zoom_light_per_second=1), habits(rate_headers=False), OURS],
    ),
    rule(
        "limit of a day",
        LIMITS_PAGE,
        get(LIST),
        refusal(
            429,
            429,
            _PER_DAY,
            {
                "x-ratelimit-category": "Medium",
                "x-ratelimit-type": "Daily-limit",
                "x-ratelimit-remaining": "0",
                "retry-after": Like("120"),
            },
        ),
        RATE,
        wait=120.0,
        given=[limits(zoom_medium_per_day=1), get(LIST)],
    ),
    rule("a server error", ERRORS, OURS, refusal(500, 500), T, given=[fault("server_error")]),
]

TOKENS = [
    rule(f"token {token}", ERRORS, OURS, refusal(401, 124, says), Consequence.REFRESH, token=token)
    for token, says in (
        ("expired-1", "Access token is expired."),
        ("revoked-1", "Invalid access token."),
        ("nonsense-token", "Invalid access token."),
        ("eyJ.eyJ.x", "Invalid access token."),
        (REFRESH, "Invalid access token."),
    )
]

_NO_RECORDING = "This recording does not exist."


def _invalid(field: str) -> Answer:
    return refusal(400, 300, "Validation Failed.", errors=[{"field": field, "message": "Invalid field."}])


QUERIES = [
    *(
        rule(f"recordings with {name}={value[:12]}", RECORDINGS, get(LIST, **params), _invalid(name), INVALID)
        for name, value, params in (
            (name, value, {name: value})
            for name, value in (
                ("from", "yesterday"),
                ("from", "2026-02-30"),
                ("from", "2026-11-1"),
                ("to", "21.11.2026"),
                ("to", "9999-12-31"),
                ("page_size", "301"),
                ("page_size", "0"),
                ("page_size", "many"),
                ("page_size", "1" * 5_000),
                ("trash", "perhaps"),
                ("trash_type", "bin"),
                ("mc", "1"),
                ("meeting_id", "x"),
                ("meeting_id", "9" * 19),
            )
        )
    ),
    rule(
        "recordings from after their end",
        RECORDINGS,
        get(LIST, **{"from": "2026-11-10", "to": "2026-11-09"}),
        _invalid("from"),
        INVALID,
    ),
    rule(
        "a page token that was never given",
        RECORDINGS,
        get(LIST, next_page_token="invented"),
        refusal(400, 300, "The next page token is invalid or expired."),
        INVALID,
    ),
    rule(
        "a page token after fifteen minutes",
        RECORDINGS,
        get(
            LIST, **{"from": "2026-10-22", "to": "2026-11-21", "page_size": "5", "next_page_token": "{page}"}
        ),
        refusal(400, 300, "The next page token is invalid or expired."),
        INVALID,
        given=[
            Request(
                "GET",
                f"/zoom/v2/{LIST}",
                {"from": "2026-10-22", "to": "2026-11-21", "page_size": "5"},
                headers=BEARER,
                captures={"page": r'"next_page_token":\s*"([^"]+)"'},
            ),
            clock(901),
        ],
    ),
    rule(
        "recordings without the scope",
        ERRORS,
        get(LIST),
        refusal(400, 4711, Containing("Invalid access token, does not contain scopes:")),
        PERM,
        token="unscoped-1",
    ),
    rule(
        "recordings without the scope, in older words",
        ERRORS,
        get(LIST),
        refusal(401, 4700, Containing("does not contain scopes:")),
        PERM,
        token="unscoped-1",
        given=[habits(old_wording=True)],
    ),
    rule(
        "people, asked for with one person's token",
        ERRORS,
        get("users"),
        refusal(400, 4711, Containing(":admin")),
        PERM,
    ),
    rule(
        "an unknown person",
        ERRORS,
        get("users/nobody/recordings"),
        refusal(404, 1001, "User does not exist: nobody."),
        GONE,
        token=WHOLE_ACCOUNT,
    ),
    rule(
        "a person of another account",
        ERRORS,
        get("users/elsewhere-1/recordings"),
        refusal(400, 1010),
        PERM,
        token=WHOLE_ACCOUNT,
    ),
    *(
        rule(
            f"meeting {meeting[:24]}",
            MEETING,
            get(f"meetings/{meeting}/recordings"),
            refusal(404, code, says),
            GONE,
        )
        for meeting, code, says in (
            ("12345678901", 3001, "Meeting does not exist: 12345678901."),
            ("ODfDKShNRqKkXbGD09Sk4A==", 3301, _NO_RECORDING),
            ("x", 3301, _NO_RECORDING),
            ("1" * 5_000, 3301, _NO_RECORDING),
        )
    ),
    *(
        rule(f"{method} {path}", ERRORS, Request(method, path, headers=BEARER), refusal(404, 2300), GONE)
        for method, path in (
            ("GET", "/zoom/v2/planets"),
            ("POST", "/zoom/v2/users/me"),
            ("DELETE", "/zoom/v2/users/me"),
            ("GET", "/zoom/v2/meetings/recordings"),
            ("GET", "/zoom/oauth/nothing"),
            ("GET", "/zoom/"),
        )
    ),
]


def token(headers: Mapping[str, str] = BASIC, /, **form: str) -> Request:
    """The token endpoint, which takes a form."""
    return Request("POST", "/zoom/oauth/token", form=form, headers=headers)


REFRESHED = token(grant_type="refresh_token", refresh_token=REFRESH)


def oauth_rule(
    name: str,
    request: Request,
    status: int,
    error: str,
    says: str | Like | Containing,
    consequence: Consequence,
    *,
    given: Sequence[Request] = (),
    **settings: object,
) -> Rule:
    """A refused renewal."""
    return Rule(
        f"zoom token: {name}",
        OAUTH_PAGE,
        request,
        Answer(status, {"reason": says, "error": error}),
        Refused(consequence, error),
        renew,
        REFRESH,
        given,
        settings,
        is_ours=request == REFRESHED,
    )


_SERVER = {"grant_type": "account_credentials", "account_id": "wTJw8LgeT8GlOSjLjOU9Hw"}
_DEAD = "Invalid Token!"
_ANYTHING = Like(f"no {REFRESH}, hush-zoom")
OAUTH = [
    *(
        oauth_rule(
            f"{error} with HTTP {status}: {says}",
            REFRESHED,
            status,
            error,
            says,
            consequence,
            given=[fault("code", code=error, message=says, status=status)],
        )
        for status, error, says, consequence in (
            (400, "invalid_grant", _DEAD, REAUTH),
            (401, "invalid_request", _DEAD, REAUTH),
            (400, "invalid_grant", "Invalid authorization code", REAUTH),
            (401, "invalid_client", "Invalid client_id or client_secret", INVALID),
            (400, "unauthorized_client", "no", INVALID),
            (400, "invalid_request", "Missing grant type.", INVALID),
            (400, "invalid_request", "Token revoked. (4,741)", REAUTH),
            (400, "invalid_request", "Redirect mismatch (4709)", INVALID),
            (401, "unheard_of", "no", INVALID),
        )
    ),
    oauth_rule("server error", REFRESHED, 500, "server_error", _ANYTHING, T, given=[fault("server_error")]),
    oauth_rule(
        "a refresh token that was used", REFRESHED, 400, "invalid_grant", _DEAD, REAUTH, given=[REFRESHED]
    ),
    oauth_rule(
        "a refresh token that was used, in older words",
        REFRESHED,
        401,
        "invalid_request",
        _DEAD,
        REAUTH,
        given=[habits(old_wording=True), REFRESHED],
    ),
    oauth_rule(
        "a refresh token after ninety days",
        token(grant_type="refresh_token", refresh_token="{next}"),
        400,
        "invalid_grant",
        _DEAD,
        REAUTH,
        given=[
            Request(
                "POST",
                "/zoom/oauth/token",
                form=REFRESHED.form,
                headers=BASIC,
                captures={"next": r'"refresh_token":\s*"([^"]+)"'},
            ),
            clock(91 * 86_400),
        ],
    ),
    oauth_rule(
        "a code that was never issued",
        token(grant_type="authorization_code", code="x", redirect_uri="https://app.test/cb"),
        400,
        "invalid_grant",
        "Invalid authorization code",
        REAUTH,
    ),
    oauth_rule(
        "another account",
        token(**{**_SERVER, "account_id": "other"}),
        400,
        "invalid_request",
        _ANYTHING,
        INVALID,
    ),
    oauth_rule(
        "an unknown grant type",
        token(grant_type="password"),
        400,
        "unsupported_grant_type",
        _ANYTHING,
        INVALID,
    ),
    oauth_rule(
        "no refresh token", token(grant_type="refresh_token"), 400, "invalid_request", _ANYTHING, INVALID
    ),
    oauth_rule(
        "no credentials of an app",
        token({}, **_SERVER),
        401,
        "invalid_client",
        "Invalid client_id or client_secret",
        INVALID,
    ),
    oauth_rule(
        "credentials in the address",
        Request("POST", "/zoom/oauth/token", {"x": "1"}, form=_SERVER, headers=BASIC),
        400,
        "invalid_request",
        _ANYTHING,
        INVALID,
    ),
    oauth_rule(
        "JSON instead of a form",
        Request("POST", "/zoom/oauth/token", document=_SERVER, headers=BASIC),
        400,
        "invalid_request",
        _ANYTHING,
        INVALID,
    ),
    oauth_rule(
        "another app's secret",
        REFRESHED,
        401,
        "invalid_client",
        _ANYTHING,
        INVALID,
        zoom_client_id="app",
        zoom_client_secret="real",
    ),
    Rule(
        "zoom token: a new pair",
        OAUTH_PAGE,
        REFRESHED,
        Answer(
            200,
            {
                "access_token": Like("eyJ-next"),
                "refresh_token": Like("eyJ-refresh"),
                "token_type": "bearer",
                "expires_in": 3_599,
                "scope": Like("user:read:user"),
                "api_url": Like("https://api.zoom.us"),
            },
        ),
        Returns(
            TokenSet(
                "eyJ-next",
                "eyJ-refresh",
                NOW + timedelta(seconds=3_599),
                scopes=("user:read:user",),
            )
        ),
        renew,
        REFRESH,
    ),
]

RULES: Sequence[Rule] = [*CODES, *LIMITS, *TOKENS, *QUERIES, *OAUTH]
