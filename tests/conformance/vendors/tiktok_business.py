"""The rules of TikTok's Business API: a code in the body, under HTTP 200 whatever happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import SecretStr

from common.errors import Consequence
from platforms.oauth.base import Stored, TokenSet
from platforms.tiktok_business.oauth import TikTokBusiness
from platforms.tiktok_business.settings import TikTokBusinessSettings
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
from tests.support.platforms.tiktok_business import TikTokBusinessDriver

T, RATE, SPLIT, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REAUTH
PERM, GONE, INVALID = Consequence.PERM, Consequence.GONE, Consequence.INVALID

ADVERTISER = "7001402301117000000"
USER = "sandbox-tt-rules"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEADERS = {"access-token": TOKEN}
BASE = "/open_api/v1.3"
APP = {"app_id": "7100", "secret": "hush"}

CODES_PAGE = "TikTok API for Business, Appendix: return codes"
AUTHENTICATION = "TikTok API for Business, Authentication"
LIMITS_PAGE = "TikTok API for Business, Rate limits"
REPORTS = "TikTok API for Business, Reporting: run a synchronous report"
CAMPAIGNS = "TikTok API for Business, Campaigns: get campaigns"
ADVERTISERS = "TikTok API for Business, Ad accounts: get ad account details"


async def ask(site: Site, caller: Caller) -> object:
    """An advertiser's campaigns."""
    return await TikTokBusinessDriver(site, caller).ask()


def get(path: str, **params: object) -> Request:
    """A read; what is no text travels as JSON."""
    encoded = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    return Request("GET", f"{BASE}/{path}/", encoded, headers=HEADERS)


OURS = Request("GET", f"{BASE}/campaign/get/", {"advertiser_id": ADVERTISER}, headers=HEADERS)


def post(path: str, document: Mapping[str, object], *, headers: Mapping[str, str] = HEADERS) -> Request:
    """A write, whose body is JSON."""
    return Request("POST", f"{BASE}/{path}/", document=dict(document), headers=headers)


def refusal(code: int, says: str | Like | Containing, *, status: int = 200) -> Answer:
    """The envelope, with the code in the body. The API has no Retry-After."""
    body: dict[str, object] = {
        "code": code,
        "message": says,
        "request_id": Like("20261121120000000000000000000000AB"),
        "data": {},
    }
    return Answer(status, body, {"retry-after": None})


def rule(
    name: str,
    source: str,
    request: Request,
    code: int,
    consequence: Consequence,
    *,
    says: str | Like | Containing = Like(f"about {USER}"),
    status: int = 200,
    wait: float | None = None,
    token: str = USER,
    given: Sequence[Request] = (),
    **settings: object,
) -> Rule:
    """A refusal; our client makes another request and gets the same answer, unless it makes this one."""
    return Rule(
        f"tiktok_business {name}",
        source,
        request,
        refusal(code, says, status=status),
        Refused(consequence, str(code), wait),
        ask,
        token,
        given,
        settings,
        is_ours=request == OURS,
    )


_CODES: Mapping[Consequence, str] = {
    T: "40201 40202 40902 40903 40913 50000 50002 51000 51305 51999",
    SPLIT: "40011",
    # Advertisers' tokens have no successor: what asks for another token asks for a person.
    REAUTH: "40102 40103 40105 40106 40107 40110 40114 40119 40120",
    PERM: "40001 40003 40113 40118 40124 40125 40130 40131 41000",
    GONE: "40007 40300 40301 40302",
    INVALID: "40000 40002 40006 40008 40009 40010 40013 40014 40050 40051 40101 40104 40108 40115 40116 "
    "40117 40200 40400 40700 41001 41002 77777",
}
CODES = [
    rule(f"code {code}", CODES_PAGE, OURS, int(code), consequence, given=[fault("code", code=code)])
    for consequence, codes in _CODES.items()
    for code in codes.split()
]
CODES += [
    rule(
        f"code 77777 with HTTP {status}",
        CODES_PAGE,
        OURS,
        77777,
        consequence,
        status=status,
        wait=wait,
        given=[fault("code", code=77777, status=status)],
    )
    for status, consequence, wait in (
        (401, REAUTH, None),
        (403, PERM, None),
        (404, GONE, None),
        (429, RATE, 60.0),
        (503, T, None),
    )
]

_SECOND, _MINUTE, _DAY = (f"App reaches the {each} limit." for each in ("QPS", "QPM", "QPD"))
LIMITS = [
    rule(
        "limit of a second",
        LIMITS_PAGE,
        OURS,
        40100,
        RATE,
        says=_SECOND,
        wait=1.0,
        given=[limits(tiktok_app_per_second=1), OURS],
    ),
    rule(
        "limit of a minute",
        LIMITS_PAGE,
        OURS,
        40100,
        RATE,
        says=_MINUTE,
        wait=300.0,
        given=[limits(tiktok_app_per_second=0, tiktok_app_per_minute=1), OURS],
    ),
    rule(
        "limit of an advertiser",
        LIMITS_PAGE,
        OURS,
        40133,
        RATE,
        wait=1.0,
        says=f"Advertiser ({ADVERTISER})'s QPS (2) reaches QPS limit 1 for current path, "
        "request is temporarily restricted.",
        given=[limits(tiktok_advertiser_per_second=1), OURS],
    ),
    rule(
        "a limit it does not name",
        LIMITS_PAGE,
        OURS,
        40016,
        RATE,
        wait=60.0,
        says="Too many requests. Please retry later.",
        given=[fault("code", code=40016)],
    ),
    rule(
        "limit of a value",
        LIMITS_PAGE,
        OURS,
        40132,
        RATE,
        wait=1.0,
        says=Containing("QPS"),
        given=[fault("code", code=40132)],
    ),
    rule("maintenance", CODES_PAGE, OURS, 60001, T, wait=300.0, given=[fault("code", code=60001)]),
    rule("a server error", CODES_PAGE, OURS, 50000, T, given=[fault("server_error")]),
]

TOKENS = [
    rule(f"token {token or 'missing'}", AUTHENTICATION, OURS, code, consequence, token=token)
    for token, code, consequence in (
        ("nonsense-token", 40105, REAUTH),
        ("act.nonsense", 40105, REAUTH),
        ("expired-1", 40102, REAUTH),
        ("revoked-1", 40105, REAUTH),
        ("mismatched-1", 40106, REAUTH),
        ("blocked-1", 40113, PERM),
        ("logged-out-1", 40114, REAUTH),
        ("not-allowlisted-1", 40118, PERM),
        ("unscoped-1", 40001, PERM),
    )
]

BY_DAY = ["campaign_id", "stat_time_day"]


def report(**changes: object) -> Request:
    """A synchronous report of an advertiser's campaigns."""
    params = {
        "advertiser_id": ADVERTISER,
        "report_type": "BASIC",
        "data_level": "AUCTION_CAMPAIGN",
        "dimensions": ["campaign_id"],
        "metrics": ["spend", "impressions"],
        "start_date": "2026-11-01",
        "end_date": "2026-11-07",
        **changes,
    }
    return get("report/integrated/get", **params)


def filtered(name: str, kind: str, value: object) -> Request:
    """A report with one condition."""
    return report(filtering=[{"field_name": name, "filter_type": kind, "filter_value": value}])


def _shown(params: Mapping[str, object]) -> str:
    return json.dumps(params)[:70]


QUERIES = [
    rule(
        "another version",
        CODES_PAGE,
        Request("GET", "/open_api/v1.2/campaign/get/", headers=HEADERS),
        40006,
        INVALID,
    ),
    rule(
        "a token in Authorization",
        AUTHENTICATION,
        Request(
            "GET",
            f"{BASE}/campaign/get/",
            {"advertiser_id": ADVERTISER},
            headers={"authorization": f"Bearer {TOKEN}"},
        ),
        40104,
        INVALID,
        says=Containing("Access token is null"),
    ),
    rule("advertisers without the app", ADVERTISERS, get("oauth2/advertiser/get"), 40002, INVALID),
    rule(
        "a code that was never issued",
        AUTHENTICATION,
        post("oauth2/access_token", {**APP, "auth_code": "made-up"}),
        40110,
        REAUTH,
    ),
    rule("no code", AUTHENTICATION, post("oauth2/access_token", {**APP, "auth_code": ""}), 40002, INVALID),
    rule(
        "an app with another secret",
        AUTHENTICATION,
        post("oauth2/access_token", {**APP, "auth_code": "{code}"}),
        40101,
        INVALID,
        given=[
            Request(
                "POST",
                "/portal/auth",
                form={
                    "app_id": "7100",
                    "state": "s",
                    "redirect_uri": "https://app.test/cb",
                    "sandbox_decision": "allow",
                },
                captures={"code": r"auth_code=([^&\s]+)"},
            )
        ],
        tiktok_app_id="7100",
        tiktok_app_secret="real",
    ),
    *(
        rule(
            f"advertisers {_shown(params)}", ADVERTISERS, get("advertiser/info", **params), code, consequence
        )
        for params, code, consequence in (
            ({}, 40002, INVALID),
            ({"advertiser_ids": "7001"}, 40002, INVALID),
            ({"advertiser_ids": "[1"}, 40002, INVALID),
            ({"advertiser_ids": ["x"]}, 40002, INVALID),
            ({"advertiser_ids": ["700"]}, 40300, GONE),
            ({"advertiser_ids": [ADVERTISER] * 101}, 40011, SPLIT),
            ({"advertiser_ids": [ADVERTISER], "fields": ["shoe_size"]}, 40002, INVALID),
        )
    ),
    *(
        rule(
            f"campaigns {_shown(params)}",
            CAMPAIGNS,
            get("campaign/get", **{"advertiser_id": ADVERTISER, **params}),
            code,
            consequence,
        )
        for params, code, consequence in (
            ({"page_size": 1001}, 40002, INVALID),
            ({"page": 0}, 40002, INVALID),
            ({"page": "two"}, 40002, INVALID),
            ({"filtering": "{"}, 40002, INVALID),
            ({"filtering": {"mood": "x"}}, 40002, INVALID),
            ({"filtering": {"campaign_ids": ["1"] * 101}}, 40011, SPLIT),
            ({"filtering": {"creation_filter_start_time": "today"}}, 40002, INVALID),
            ({"advertiser_id": "7999"}, 40300, GONE),
        )
    ),
    *(
        rule(f"report {_shown(params)}", REPORTS, report(**params), 40002, INVALID, says=Containing(says))
        for params, says in (
            ({"report_type": ""}, "Missing required field(s): report_type."),
            ({"report_type": "DREAM"}, "report_type: Must be one of"),
            ({"data_level": ""}, "Missing required field(s): data_level."),
            ({"data_level": "AUCTION_PLANET"}, "data_level"),
            ({"dimensions": ""}, "Missing required field(s): dimensions."),
            ({"dimensions": "campaign_id"}, "dimensions: Must be a list."),
            ({"dimensions": [7.5]}, "dimensions: Must be a list of strings."),
            ({"dimensions": ["shoe_size"]}, "Invalid dimensions"),
            ({"dimensions": ["campaign_id", "ad_id"]}, "Only one ID dimension"),
            ({"dimensions": ["ad_id"]}, "does not match data_level"),
            ({"metrics": ["spend", "joy"]}, "Invalid metric fields: ['joy']"),
            ({"start_date": ""}, "Missing required field(s): start_date."),
            ({"start_date": "2026-11-1"}, "Time format should be YYYY-MM-DD."),
            ({"start_date": "2026-11-08"}, "must not be later"),
            ({"start_date": "2026-10-08", "dimensions": BY_DAY}, "cannot exceed 30 days"),
            ({"start_date": "2025-11-07"}, "cannot exceed 365 days"),
            ({"order_field": "campaign_name"}, "order_field"),
            ({"order_type": "UP"}, "order_type"),
            ({"page_size": 1001}, "page_size: Must be between 1 and 1000."),
            ({"filtering": {}}, "filtering: Must be a list."),
            ({"filtering": ["x"]}, "filtering: Must be a list of objects."),
            ({"filtering": [{"field_name": "ad_ids"}]}, "filter_type and filter_value are required"),
            ({"advertiser_id": ""}, "Missing required field(s): advertiser_id."),
            ({"advertiser_id": "70x"}, "advertiser_id"),
        )
    ),
    rule("report of an unknown advertiser", REPORTS, report(advertiser_id="7999"), 40300, GONE),
    rule("report of six advertisers", REPORTS, report(advertiser_ids=[ADVERTISER] * 6), 40011, SPLIT),
    *(
        rule(
            f"filter {_shown({'is': [name, kind, value]})}",
            REPORTS,
            filtered(name, kind, value),
            code,
            consequence,
        )
        for name, kind, value, code, consequence in (
            ("mood", "IN", '["x"]', 40002, INVALID),
            ("campaign_ids", "LIKE", '["x"]', 40002, INVALID),
            ("campaign_ids", "IN", "17", 40002, INVALID),
            ("campaign_ids", "IN", ["17"], 40002, INVALID),
            ("campaign_ids", "GREATER_THAN", "17", 40002, INVALID),
            ("campaign_ids", "IN", f"[{','.join(['1'] * 101)}]", 40011, SPLIT),
            ("campaign_status", "IN", '["ASLEEP"]', 40002, INVALID),
            ("spend", "GREATER_THAN", "much", 40002, INVALID),
            ("spend", "MATCH", "1", 40002, INVALID),
            ("spend", "BETWEEN", "[1]", 40002, INVALID),
        )
    ),
]

LOOK = get("oauth2/advertiser/get", app_id="7100", secret="hush-tiktok")


async def look(site: Site, caller: Caller) -> object:
    """Whether an advertiser's token still works; it has no successor."""
    settings = TikTokBusinessSettings(
        tiktok_base_url=site.url, tiktok_app_id="7100", tiktok_app_secret=SecretStr("hush-tiktok")
    )
    grant = TikTokBusiness(site.http, settings)
    return await grant.renew(Stored(caller.token), now=NOW)


OAUTH = [
    Rule(
        f"tiktok_business token: code {code}",
        AUTHENTICATION,
        LOOK,
        refusal(code, Like(f"about {USER} and hush-tiktok")),
        Refused(consequence, str(code)),
        look,
        USER,
        [fault("code", code=code)],
    )
    for code, consequence in (
        (40105, REAUTH),
        (40102, REAUTH),
        (40106, REAUTH),
        (40101, INVALID),
        (40113, PERM),
        (40100, RATE),
        (40133, RATE),
        (50000, T),
        (51007, T),
        (60001, T),
        (40300, GONE),
        (49999, INVALID),
    )
]
OAUTH.append(
    Rule(
        "tiktok_business token: one that works",
        AUTHENTICATION,
        LOOK,
        Answer(
            200,
            {
                "code": 0,
                "message": "OK",
                "request_id": Like("2026"),
                "data": {"list": Like([{"advertiser_id": Like("7"), "advertiser_name": Like("Shop")}])},
            },
        ),
        Returns(TokenSet(USER)),
        look,
        USER,
    )
)

RULES: Sequence[Rule] = [*CODES, *LIMITS, *TOKENS, *QUERIES, *OAUTH]
