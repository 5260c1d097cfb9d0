"""Calls to both TikTok APIs of a sandbox, as an app makes them."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.unit.sandbox.conftest import SandboxApp

BASE = "/open_api/v1.3"
TOKEN = "sandbox-tt-test"
ADVERTISER = "7001402301117000000"
"""US dollars, Los Angeles."""
EURO = "7001402392234000000"
YEN = "7001402483351000000"
DISABLED = "7001402574468000000"
RETURN_TO = "https://app.test/callback?from=tt"
APP = {"app_id": "7100", "secret": "hush"}
CREATOR_APP = {"client_id": "7100", "client_secret": "hush"}
CLIENT = {"client_key": "aw123", "client_secret": "hush"}
SCOPES = "user.info.basic,user.info.profile,user.info.stats,video.list"
DIALOG = {
    "client_key": "aw123",
    "scope": SCOPES,
    "response_type": "code",
    "redirect_uri": RETURN_TO,
    "state": "s&1",
}


@dataclass
class TikTok:
    """A client of one sandbox's TikTok."""

    app: SandboxApp

    async def get(self, path: str, token: str = TOKEN, **params: Any) -> httpx.Response:
        """A Business GET; what is no text travels as JSON."""
        encoded = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()
        }
        return await self.app.http.get(f"{BASE}{path}", params=encoded, headers={"access-token": token})

    async def post(self, path: str, token: str = "", **body: Any) -> httpx.Response:
        headers = {"access-token": token} if token else {}
        return await self.app.http.post(f"{BASE}{path}", json=body, headers=headers)

    async def data(self, path: str, token: str = TOKEN, **params: Any) -> dict[str, Any]:
        """The data of a GET that must work."""
        return data_of(await self.get(path, token, **params))

    async def code(self, path: str, token: str = TOKEN, **params: Any) -> int:
        """The code of a GET, which travels under HTTP 200 whatever it is."""
        return code_of(await self.get(path, token, **params))

    async def report(self, **params: Any) -> dict[str, Any]:
        """A report of the first advertiser's campaigns, unless told otherwise."""
        return await self.data("/report/integrated/get/", **report_params(params))

    async def report_refusal(self, **params: Any) -> tuple[int, str]:
        answer = (await self.get("/report/integrated/get/", **report_params(params))).json()
        assert answer["data"] == {}
        return answer["code"], answer["message"]

    async def auth_code(self, decision: str = "allow", **changes: str) -> dict[str, list[str]]:
        """What the advertiser's decision brings back."""
        params = {"app_id": "7100", "state": "s&1", "redirect_uri": RETURN_TO, **changes}
        answer = await self.app.http.post("/portal/auth", data={**params, "sandbox_decision": decision})
        return brought_back(answer)

    async def signed_in(self, **changes: str) -> dict[str, Any]:
        """An advertiser's token with what comes along."""
        (code,) = (await self.auth_code(**changes))["auth_code"]
        return data_of(await self.post("/oauth2/access_token/", **APP, auth_code=code))

    async def consent(self, decision: str = "allow", **changes: str) -> dict[str, list[str]]:
        """What the creator's decision brings back."""
        params = {**DIALOG, **changes, "sandbox_decision": decision}
        return brought_back(await self.app.http.get("/v2/auth/authorize/", params=params))

    async def token(self, **form: str) -> httpx.Response:
        return await self.app.http.post("/v2/oauth/token/", data={**CLIENT, **form})

    async def redeem(self, code: str, **changes: str) -> httpx.Response:
        params = {"grant_type": "authorization_code", "redirect_uri": RETURN_TO, "code": code}
        return await self.token(**{**params, **changes})

    async def refresh(self, refresh_token: str, **changes: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def pair(self, **changes: str) -> dict[str, Any]:
        """A creator's first pair of tokens."""
        (code,) = (await self.consent(**changes))["code"]
        answer = await self.redeem(code)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def user(self, access_token: str, fields: str = "open_id,display_name") -> httpx.Response:
        headers = {"authorization": f"Bearer {access_token}"}
        return await self.app.http.get("/v2/user/info/", params={"fields": fields}, headers=headers)

    async def videos(
        self, access_token: str = "act.sandbox-1", fields: str = "id,create_time", **body: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {access_token}"}
        return await self.app.http.post(
            "/v2/video/list/", params={"fields": fields}, json=body, headers=headers
        )

    async def grants(self, platform: str) -> list[dict[str, Any]]:
        answer = await self.app.http.get("/_sandbox/grants", params={"platform": platform})
        grants: list[dict[str, Any]] = answer.json()["grants"]
        return grants


def report_params(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "advertiser_id": ADVERTISER,
        "report_type": "BASIC",
        "data_level": "AUCTION_CAMPAIGN",
        "dimensions": ["campaign_id"],
        "metrics": ["spend", "impressions", "clicks"],
        "start_date": "2026-11-01",
        "end_date": "2026-11-07",
        "page_size": 1000,
        **params,
    }


def data_of(answer: httpx.Response) -> dict[str, Any]:
    """The data of an answer that must be a success."""
    document = answer.json()
    assert (answer.status_code, document["code"], document["message"]) == (200, 0, "OK"), answer.text
    data: dict[str, Any] = document["data"]
    return data


def code_of(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.json()["code"])


def brought_back(answer: httpx.Response) -> dict[str, list[str]]:
    """The query with which a person returns to the app."""
    assert answer.status_code == 302, answer.text
    address = urlsplit(answer.headers["location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == "https://app.test/callback"
    return parse_qs(address.query)
