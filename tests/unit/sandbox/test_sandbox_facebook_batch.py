import json
from typing import Any

from tests.unit.sandbox.conftest import ACCOUNT, TOKEN, SandboxApp


async def batch(app: SandboxApp, parts: list[dict[str, Any]], **params: str) -> list[Any]:
    answer = await app.http.post(
        "/v26.0/", data={"access_token": TOKEN, "batch": json.dumps(parts), **params}
    )
    assert answer.status_code == 200, answer.text
    answers: list[Any] = answer.json()
    return answers


async def test_each_part_has_its_own_status_headers_and_body(app: SandboxApp) -> None:
    good, bad = await batch(
        app,
        [
            {"method": "GET", "relative_url": f"{ACCOUNT}/insights?fields=spend&date_preset=yesterday"},
            {"method": "GET", "relative_url": "v25.0/nobody-we-know"},
        ],
    )
    assert good["code"] == 200
    assert "spend" in json.loads(good["body"])["data"][0]
    names = {header["name"] for header in good["headers"]}
    assert {"Content-Type", "X-Business-Use-Case-Usage"} <= names
    assert bad["code"] == 404
    assert json.loads(bad["body"])["error"]["code"] == 803


async def test_headers_can_be_left_out(app: SandboxApp) -> None:
    (part,) = await batch(app, [{"method": "GET", "relative_url": "me"}], include_headers="false")
    assert set(part) == {"code", "body"}


async def test_one_part_may_use_anothers_result(app: SandboxApp) -> None:
    accounts, found = await batch(
        app,
        [
            {"method": "GET", "name": "accounts", "relative_url": "me/adaccounts?limit=2"},
            {"method": "GET", "relative_url": "?ids={result=accounts:$.data.*.id}&fields=name"},
        ],
    )
    assert accounts is None
    assert ACCOUNT in json.loads(found["body"])


async def test_parts_may_start_reports_and_bring_tokens(app: SandboxApp) -> None:
    report, dead = await batch(
        app,
        [
            {"method": "POST", "relative_url": f"{ACCOUNT}/insights", "body": "fields=spend&level=ad"},
            {"method": "GET", "relative_url": "me?access_token=expired-1"},
        ],
    )
    assert "report_run_id" in json.loads(report["body"])
    assert json.loads(dead["body"])["error"]["error_subcode"] == 463


async def test_an_unchanged_part_is_304(app: SandboxApp) -> None:
    (first,) = await batch(app, [{"method": "GET", "relative_url": "me"}])
    etag = next(header["value"] for header in first["headers"] if header["name"] == "Etag")
    (again,) = await batch(
        app,
        [{"method": "GET", "relative_url": "me", "headers": [{"name": "If-None-Match", "value": etag}]}],
    )
    assert (again["code"], again["body"]) == (304, "")


async def test_at_most_fifty_parts(app: SandboxApp) -> None:
    parts = [{"method": "GET", "relative_url": "me"}] * 51
    answer = await app.http.post("/v26.0/", data={"access_token": TOKEN, "batch": json.dumps(parts)})
    assert answer.status_code == 400
    assert "Maximum batch size is 50" in answer.json()["error"]["message"]


async def test_every_part_counts(app: SandboxApp) -> None:
    await app.http.put("/_sandbox/limits", json={"facebook_account_calls_per_hour": 2})
    parts = [{"method": "GET", "relative_url": f"{ACCOUNT}/insights"}] * 3
    assert [part["code"] for part in await batch(app, parts)] == [200, 200, 400]
