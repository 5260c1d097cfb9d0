import json
from typing import Any

import httpx
import pytest

from tests.unit.sandbox.conftest import ACCOUNT, BOT, TOKEN, SandboxApp


async def send(app: SandboxApp, chat: int = 1) -> httpx.Response:
    return await app.http.post(f"{BOT}/sendMessage", json={"chat_id": chat, "text": "x"})


async def test_a_fault_strikes_as_often_as_it_was_told(app: SandboxApp) -> None:
    await app.fault("server_error", match={"platform": "telegram"}, times=2)
    assert [(await send(app)).status_code for _ in range(3)] == [500, 500, 200]
    assert (await app.http.get("/_sandbox/faults")).json() == {"faults": []}


async def test_a_fault_stays_until_it_is_switched_off(app: SandboxApp) -> None:
    fault = await app.fault("server_error")
    assert [(await send(app)).status_code for _ in range(3)] == [500] * 3
    (listed,) = (await app.http.get("/_sandbox/faults")).json()["faults"]
    assert listed["struck"] == 3
    assert (await app.http.delete(f"/_sandbox/faults/{fault['id']}")).status_code == 204
    assert (await send(app)).status_code == 200
    assert (await app.http.delete(f"/_sandbox/faults/{fault['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("match", "strikes"),
    [
        ({"platform": "telegram"}, True),
        ({"platform": "facebook"}, False),
        ({"path": "/bot*/sendMessage"}, True),
        ({"path": "/bot*/getMe"}, False),
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"chat": "1"}, True),
        ({"chat": 1}, True),
        ({"chat": "2"}, False),
        ({"token": BOT[4:]}, True),
        ({"token": "another"}, False),
        ({"hook": "team"}, False),
        ({"platform": "telegram", "chat": "1", "path": "*sendMessage"}, True),
    ],
)
async def test_who_is_struck(app: SandboxApp, match: dict[str, Any], strikes: bool) -> None:
    await app.fault("server_error", match=match)
    assert (await send(app)).status_code == (500 if strikes else 200)


async def test_facebook_is_matched_by_path_and_token(app: SandboxApp) -> None:
    await app.fault("server_error", match={"path": "/v*/act_*/insights", "token": TOKEN})
    assert (await app.graph(f"{ACCOUNT}/insights")).status_code == 500
    assert (await app.graph("me/adaccounts")).status_code == 200
    assert (await app.graph(f"{ACCOUNT}/insights", "sandbox-fb-other")).status_code == 200


async def test_by_chance_but_always_the_same_chance(app: SandboxApp) -> None:
    async def strikes() -> list[bool]:
        await app.fault("server_error", probability=0.3, seed=5)
        seen = [(await send(app)).status_code == 500 for _ in range(200)]
        await app.http.delete("/_sandbox/faults")
        return seen

    first, second = await strikes(), await strikes()
    assert first == second
    assert 30 < sum(first) < 90


async def test_rate_limits_are_worded_by_each_platform(app: SandboxApp) -> None:
    await app.fault("rate_limit", retry_after=130)
    telegram = await send(app)
    assert telegram.status_code == 429
    assert telegram.json()["parameters"] == {"retry_after": 130}
    assert telegram.headers["retry-after"] == "130"
    webhook = await app.http.post("/hooks/a", content=b"{}")
    assert (webhook.status_code, webhook.headers["retry-after"]) == (429, "130")
    insights = await app.graph(f"{ACCOUNT}/insights")
    assert insights.json()["error"]["code"] == 80000
    assert "retry-after" not in insights.headers
    usage = json.loads(insights.headers["x-business-use-case-usage"])[ACCOUNT[4:]][0]
    assert (usage["call_count"], usage["estimated_time_to_regain_access"]) == (100, 3)
    person = await app.graph("me/adaccounts")
    assert (person.status_code, person.json()["error"]["code"]) == (403, 4)
    assert json.loads(person.headers["x-app-usage"])["call_count"] == 100


async def test_expired_tokens_and_server_errors_are_worded_by_each_platform(app: SandboxApp) -> None:
    await app.fault("expired_token", times=3)
    error = await app.error("me")
    assert (error["code"], error["error_subcode"]) == (190, 463)
    assert (await send(app)).json()["description"] == "Unauthorized"
    assert (await app.http.post("/hooks/a", content=b"{}")).status_code == 401
    await app.fault("server_error", times=1)
    answer = await app.graph("me")
    assert answer.status_code == 500
    assert (answer.json()["error"]["code"], answer.json()["error"]["is_transient"]) == (2, True)


async def test_any_code_in_the_platforms_own_envelope(app: SandboxApp) -> None:
    await app.fault("code", code="190/467", message="Logged out.", times=1)
    answer = await app.graph("me")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 190, 467)
    assert error["message"] == "Logged out."
    await app.fault("code", code=368, status=403, times=1)
    blocked = await app.graph("me")
    assert (blocked.status_code, blocked.json()["error"]["code"]) == (403, 368)
    await app.fault("code", code=403, message="bot was kicked", times=1)
    assert (await send(app)).json()["description"] == "Forbidden: bot was kicked"
    await app.fault("code", code=40105, times=1)
    assert (await send(app)).status_code == 400
    await app.fault("code", code="gone", status=410, times=1)
    webhook = await app.http.post("/hooks/a", content=b"{}")
    assert (webhook.status_code, webhook.json()) == (410, {"error": "gone"})


async def test_any_status_body_and_headers(app: SandboxApp) -> None:
    await app.fault(
        "status",
        code=502,
        body="<h1>Bad Gateway</h1>",
        headers={"Content-Type": "text/html", "X-Who": "proxy"},
    )
    answer = await send(app)
    assert (answer.status_code, answer.text) == (502, "<h1>Bad Gateway</h1>")
    assert (answer.headers["content-type"], answer.headers["x-who"]) == ("text/html", "proxy")


async def test_html_instead_of_json(app: SandboxApp) -> None:
    await app.fault("html", status=200)
    answer = await app.graph("me")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_a_lost_answer_leaves_the_message_delivered(app: SandboxApp) -> None:
    await app.fault("server_error", stage="answer", times=1)
    assert (await send(app)).status_code == 500
    assert len(await app.received(kind="telegram")) == 1
    await app.fault("server_error", stage="request", times=1)
    assert (await send(app)).status_code == 500
    assert len(await app.received(kind="telegram")) == 1


async def test_what_was_struck_is_on_record(app: SandboxApp) -> None:
    await app.fault("rate_limit", match={"platform": "facebook"}, times=1)
    await app.graph("me")
    (fault,) = await app.received(kind="fault")
    assert (fault["platform"], fault["fault"]) == ("facebook", "rate_limit")
    (call,) = await app.received(kind="facebook")
    assert (call["status"], call["fault"]) == (403, "rate_limit")


async def test_without_a_connection_to_break_a_reset_is_raised(app: SandboxApp) -> None:
    await app.fault("reset", times=1)
    with pytest.raises(ConnectionResetError):
        await send(app)


@pytest.mark.parametrize(
    ("description", "field"),
    [
        ({}, "kind"),
        ({"kind": "earthquake"}, "kind"),
        ({"kind": "slow", "seconds": -1}, "seconds"),
        ({"kind": "slow", "seconds": "5"}, "seconds"),
        ({"kind": "status", "code": 42}, "code"),
        ({"kind": "status", "body": {}}, "body"),
        ({"kind": "status", "headers": {"a": 1}}, "headers"),
        ({"kind": "code"}, "code"),
        ({"kind": "code", "code": True}, "code"),
        ({"kind": "code", "code": "190/467/1"}, "code"),
        ({"kind": "code", "code": 1, "status": 42}, "status"),
        ({"kind": "code", "code": 1, "message": 5}, "message"),
        ({"kind": "html", "times": 0}, "times"),
        ({"kind": "html", "times": True}, "times"),
        ({"kind": "html", "probability": 2}, "probability"),
        ({"kind": "html", "stage": "later"}, "stage"),
        ({"kind": "truncated", "stage": "request"}, "stage"),
        ({"kind": "html", "match": []}, "match"),
        ({"kind": "html", "match": {"planet": "x"}}, "match.planet"),
        ({"kind": "html", "match": {"path": ["x"]}}, "match.path"),
        ({"kind": "html", "colour": "red"}, "colour"),
    ],
)
async def test_a_fault_that_makes_no_sense(app: SandboxApp, description: dict[str, Any], field: str) -> None:
    answer = await app.http.post("/_sandbox/faults", json=description)
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert (await app.http.get("/_sandbox/faults")).json() == {"faults": []}
