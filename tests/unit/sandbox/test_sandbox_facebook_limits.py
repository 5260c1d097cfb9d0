import json
from typing import Any

import httpx
import pytest

from tests.unit.sandbox.conftest import ACCOUNT, PAGE, PAGE_TOKEN, TOKEN, SandboxApp

NUMBER = ACCOUNT.removeprefix("act_")


def usage(answer: httpx.Response, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.headers[name])
    return document


async def limit(app: SandboxApp, **limits: float) -> None:
    assert (await app.http.put("/_sandbox/limits", json=limits)).status_code == 200


async def test_usage_climbs_with_every_call(app: SandboxApp) -> None:
    await limit(app, facebook_app_calls_per_hour=100, facebook_account_calls_per_hour=50)
    seen = [await app.graph(f"{ACCOUNT}/insights", fields="spend") for _ in range(5)]
    assert [usage(answer, "x-app-usage")["call_count"] for answer in seen] == [1, 2, 3, 4, 5]
    of_account = [usage(answer, "x-ad-account-usage")["acc_id_util_pct"] for answer in seen]
    assert of_account == [2.0, 4.0, 6.0, 8.0, 10.0]
    (entry,) = usage(seen[-1], "x-business-use-case-usage")[NUMBER]
    assert (entry["type"], entry["call_count"], entry["estimated_time_to_regain_access"]) == (
        "ads_insights",
        10,
        0,
    )
    assert usage(seen[-1], "x-fb-ads-insights-throttle")["acc_id_util_pct"] == 10.0


async def test_accounts_and_pages_have_limits_of_their_own(app: SandboxApp) -> None:
    await limit(app, facebook_account_calls_per_hour=10)
    await app.graph(f"{ACCOUNT}/insights")
    other = await app.graph("act_402210009452234/insights")
    assert usage(other, "x-ad-account-usage")["acc_id_util_pct"] == 10.0
    page = await app.graph(f"{PAGE}/insights", PAGE_TOKEN, metric="page_follows")
    assert usage(page, "x-business-use-case-usage")[PAGE][0]["type"] == "pages"
    assert "x-ad-account-usage" not in page.headers
    structure = await app.graph(f"{ACCOUNT}/campaigns")
    assert usage(structure, "x-business-use-case-usage")[NUMBER][0]["type"] == "ads_management"


async def test_a_limit_that_makes_no_sense_changes_nothing(app: SandboxApp) -> None:
    answer = await app.http.put(
        "/_sandbox/limits", json={"facebook_app_calls_per_hour": 5, "telegram_chat_per_second": -1}
    )
    assert answer.status_code == 400
    assert answer.json()["field"] == "telegram_chat_per_second"
    assert (await app.http.get("/_sandbox/limits")).json()["facebook_app_calls_per_hour"] == 100_000


@pytest.mark.parametrize(
    ("path", "served"),
    [("/v26.0/me", "v26.0"), ("/v23.0/me", "v23.0"), ("/v17.0/me", "v21.0"), ("/me", "v26.0")],
)
async def test_old_versions_are_served_by_the_oldest_left(app: SandboxApp, path: str, served: str) -> None:
    answer = await app.http.get(path, params={"access_token": TOKEN})
    assert (answer.status_code, answer.headers["facebook-api-version"]) == (200, served)
