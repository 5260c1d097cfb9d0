"""The rules of TikTok's API for creators: one envelope for its resources, another for its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from common.errors import Consequence
from platforms.oauth.base import Stored, TokenSet
from platforms.tiktok_organic.oauth import TikTokOrganic
from platforms.tiktok_organic.settings import TikTokOrganicSettings
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
from tests.support.platforms.tiktok_organic import TikTokOrganicDriver

T, RATE, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.REAUTH
PERM, GONE, INVALID = Consequence.PERM, Consequence.GONE, Consequence.INVALID

USER = "act.sandbox-rules"
REFRESH = "rft.sandbox-rules"
BEARER = {"authorization": f"Bearer {TOKEN}"}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESOURCES = "TikTok for Developers, API v2: error handling"
TOKENS_PAGE = "TikTok for Developers, OAuth: user access token management"
SCOPES = "TikTok for Developers, Scopes overview"
LIMITS_PAGE = "TikTok for Developers, API v2: rate limits"

OURS = Request("GET", "/v2/user/info/", {"fields": "open_id,display_name"}, headers=BEARER)
FINE = Answer(
    200,
    {
        "data": {"user": {"open_id": Like("o"), "display_name": Like("Ann")}},
        "error": {"code": "ok", "message": "", "log_id": Like("2026")},
    },
)


async def ask(site: Site, caller: Caller) -> object:
    """The creator's profile."""
    return await TikTokOrganicDriver(site, caller).ask()


async def renew(site: Site, _caller: Caller) -> object:
    """Another pair for a refresh token."""
    grant = TikTokOrganic(
        site.http,
        TikTokOrganicSettings(
            tiktok_open_base_url=site.url,
            tiktok_client_key="aw123",
            tiktok_client_secret=SecretStr("hush-organic"),
        ),
    )
    return await grant.renew(Stored("act.old", REFRESH), now=NOW)


def user(**params: str) -> Request:
    """The profile, asked for in another way."""
    return Request("GET", "/v2/user/info/", params, headers=BEARER)


def token(**form: str) -> Request:
    """The token endpoint."""
    return Request(
        "POST", "/v2/oauth/token/", form={"client_key": "aw123", "client_secret": "hush-organic", **form}
    )


REFRESHED = token(grant_type="refresh_token", refresh_token=REFRESH)


def refusal(code: str, status: int, says: str | Like | Containing = Like(f"about {USER}")) -> Answer:
    """An error of a resource. The API has no Retry-After."""
    body = {"data": {}, "error": {"code": code, "message": says, "log_id": Like("2026112112")}}
    return Answer(status, body, {"retry-after": None})


def no_token(error: str, status: int, says: str | Like | Containing = Like("no")) -> Answer:
    """An error of the token endpoint."""
    return Answer(status, {"error": error, "error_description": says, "log_id": Like("2026112112")})


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
    """A refused resource."""
    assert isinstance(answer.body, Mapping)
    concludes = (
        Renewed(FINE)
        if consequence is Consequence.REFRESH
        else Refused(consequence, answer.body["error"]["code"], wait)
    )
    return Rule(
        f"tiktok_organic {name}",
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


def oauth_rule(
    name: str,
    request: Request,
    answer: Answer,
    consequence: Consequence,
    *,
    given: Sequence[Request] = (),
    **settings: object,
) -> Rule:
    """A refused renewal."""
    assert isinstance(answer.body, Mapping)
    return Rule(
        f"tiktok_organic token: {name}",
        TOKENS_PAGE,
        request,
        answer,
        Refused(consequence, answer.body["error"]),
        renew,
        REFRESH,
        given,
        settings,
        is_ours=request == REFRESHED,
    )


_CODES = (
    ("scope_not_authorized", 401, PERM),
    ("scope_permission_missed", 400, PERM),
    ("internal_error", 500, T),
    ("invalid_params", 400, INVALID),
    ("invalid_file_upload", 400, INVALID),
    ("access_token_invalid", 401, Consequence.REFRESH),
    ("access_token_invalid", 200, Consequence.REFRESH),
    ("something_new", 401, Consequence.REFRESH),
    ("something_new", 403, PERM),
    ("something_new", 404, GONE),
    ("something_new", 500, T),
    ("something_new", 400, INVALID),
)
CODES = [
    rule(
        f"{code} with HTTP {status}",
        RESOURCES,
        OURS,
        refusal(code, status),
        consequence,
        given=[fault("code", code=code, status=status)],
    )
    for code, status, consequence in _CODES
]
RESOURCE_RULES = [
    rule(
        "limit of a minute",
        LIMITS_PAGE,
        OURS,
        refusal("rate_limit_exceeded", 429),
        RATE,
        wait=60.0,
        given=[limits(tiktok_organic_per_minute=1), OURS],
    ),
    rule("a server error", RESOURCES, OURS, refusal("internal_error", 500), T, given=[fault("server_error")]),
    *(
        rule(
            f"token {dead}",
            RESOURCES,
            OURS,
            refusal("access_token_invalid", 401, Containing("The access token is invalid")),
            Consequence.REFRESH,
            token=dead,
        )
        for dead in ("act.expired-1", "act.revoked-1", "nonsense-token")
    ),
    rule("an unknown field", RESOURCES, user(fields="nonsense"), refusal("invalid_params", 400), INVALID),
    rule(
        "a field of another scope",
        SCOPES,
        user(fields="username,follower_count"),
        refusal("scope_permission_missed", 400, Containing("user.info")),
        PERM,
        token="act.unscoped-1",
    ),
    rule(
        "videos without their scope",
        SCOPES,
        Request("POST", "/v2/video/list/", {"fields": "id"}, document={}, headers=BEARER),
        refusal("scope_not_authorized", 401),
        PERM,
        token="act.unscoped-1",
    ),
]

_OAUTH_CODES = (
    ("invalid_grant", REAUTH),
    ("access_denied", REAUTH),
    ("invalid_client", INVALID),
    ("invalid_request", INVALID),
    ("invalid_scope", INVALID),
    ("unauthorized_client", INVALID),
    ("unsupported_grant_type", INVALID),
    ("unheard_of", INVALID),
)
OAUTH = [
    *(
        oauth_rule(
            f"{error} with HTTP {status}",
            REFRESHED,
            no_token(error, status, Like(f"{REFRESH} is not what hush-organic may use")),
            consequence,
            given=[fault("code", code=error, status=status)],
        )
        for error, consequence in _OAUTH_CODES
        for status in (200, 400, 401)
    ),
    oauth_rule("limit", REFRESHED, no_token("rate_limit_exceeded", 429), RATE, given=[fault("rate_limit")]),
    oauth_rule("server error", REFRESHED, no_token("server_error", 500), T, given=[fault("server_error")]),
    oauth_rule(
        "a pause",
        REFRESHED,
        no_token("temporarily_unavailable", 503),
        T,
        given=[fault("code", code="temporarily_unavailable", status=503)],
    ),
    oauth_rule(
        "an unknown server error",
        REFRESHED,
        no_token("unheard_of", 503),
        T,
        given=[fault("code", code="unheard_of", status=503)],
    ),
    oauth_rule(
        "a refresh token that was used", REFRESHED, no_token("invalid_grant", 400), REAUTH, given=[REFRESHED]
    ),
    oauth_rule(
        "a refresh token half a year old",
        token(grant_type="refresh_token", refresh_token="{next}"),
        no_token("invalid_grant", 400),
        REAUTH,
        given=[
            Request(
                "POST",
                "/v2/oauth/token/",
                form=REFRESHED.form,
                captures={"next": r'"refresh_token":\s*"([^"]+)"'},
            ),
            clock(180 * 86_400),
        ],
    ),
    oauth_rule(
        "a code that was never issued",
        token(grant_type="authorization_code", code="x", redirect_uri="https://app.test/cb"),
        no_token("invalid_grant", 400),
        REAUTH,
    ),
    oauth_rule(
        "JSON instead of a form",
        Request("POST", "/v2/oauth/token/", document={"client_key": "aw123", "grant_type": "refresh_token"}),
        no_token("invalid_request", 400, Containing("application/x-www-form-urlencoded")),
        INVALID,
    ),
    *(
        oauth_rule(name, token(**form), no_token(error, 400), consequence)
        for name, form, error, consequence in (
            ("no grant type", {"grant_type": ""}, "invalid_request", INVALID),
            ("an unknown grant type", {"grant_type": "password"}, "unsupported_grant_type", INVALID),
            ("a grant type of others", {"grant_type": "client_credentials"}, "unauthorized_client", INVALID),
            ("no refresh token", {"grant_type": "refresh_token"}, "invalid_request", INVALID),
            (
                "no such refresh token",
                {"grant_type": "refresh_token", "refresh_token": "rft.x"},
                "invalid_grant",
                REAUTH,
            ),
            (
                "an expired refresh token",
                {"grant_type": "refresh_token", "refresh_token": "rft.expired-1"},
                "invalid_grant",
                REAUTH,
            ),
            ("no code", {"grant_type": "authorization_code"}, "invalid_grant", REAUTH),
            ("no app", {"client_key": ""}, "invalid_client", INVALID),
            ("no secret", {"client_secret": ""}, "invalid_client", INVALID),
        )
    ),
    oauth_rule(
        "another app's secret",
        REFRESHED,
        no_token("invalid_client", 400),
        INVALID,
        tiktok_client_key="aw123",
        tiktok_client_secret="real",
    ),
    Rule(
        "tiktok_organic token: a new pair",
        TOKENS_PAGE,
        REFRESHED,
        Answer(
            200,
            {
                "access_token": Like("act.next"),
                "refresh_token": Like("rft.next"),
                "open_id": Like("o-1"),
                "expires_in": 7_200,
                "refresh_expires_in": 15_552_000,
                "token_type": "Bearer",
                "scope": Like("user.info.basic,video.list"),
            },
        ),
        Returns(
            TokenSet(
                "act.next",
                "rft.next",
                NOW + timedelta(hours=2),
                NOW + timedelta(days=180),
                ("user.info.basic", "video.list"),
                "o-1",
            )
        ),
        renew,
        REFRESH,
    ),
]

RULES: Sequence[Rule] = [*CODES, *RESOURCE_RULES, *OAUTH]
