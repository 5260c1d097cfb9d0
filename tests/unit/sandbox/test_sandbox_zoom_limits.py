from datetime import datetime

import httpx

from tests.unit.sandbox.conftest import SandboxApp
from tests.unit.sandbox.zoom_calls import PERSON, WHOLE_ACCOUNT, add, api, control, refused, twice

SECOND = {
    "code": 429,
    "message": "You have reached the maximum per-second rate limit for this API. Try again later.",
}
NAMES = ("x-ratelimit-category", "x-ratelimit-type", "x-ratelimit-limit", "x-ratelimit-remaining")


async def limit(app: SandboxApp, **limits: float) -> None:
    assert (await app.http.put("/_sandbox/limits", json=limits)).status_code == 200


def told(answer: httpx.Response) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(name) for name in NAMES)


async def test_too_many_calls_in_a_day(app: SandboxApp) -> None:
    await limit(app, zoom_light_per_day=2)
    first = await api(app, "users/me")
    assert told(first) == ("Light", "Daily-limit", "2", "1")
    await api(app, "users/me")
    answer = await api(app, "users/me")
    assert answer.status_code == 429
    assert answer.json()["message"].startswith("You have reached the maximum daily rate limit for this API.")
    assert told(answer) == ("Light", "Daily-limit", "2", "0")
    assert answer.headers["retry-after"] == "2026-11-22T00:00:00Z"
    until = datetime.fromisoformat(answer.headers["retry-after"]).timestamp()
    app.clock.advance(until - app.clock.now() - 1)
    assert (await api(app, "users/me")).status_code == 429
    app.clock.advance(1)
    assert (await api(app, "users/me")).status_code == 200


async def test_the_reset_header_can_be_had(app: SandboxApp) -> None:
    await limit(app, zoom_light_per_second=1)
    await control(app, "PUT", "", {"reset_header": True})
    await api(app, "users/me")
    answer = await api(app, "users/me")
    assert int(answer.headers["x-ratelimit-reset"]) == int(app.clock.now()) + 1


async def test_zero_is_no_limit(app: SandboxApp) -> None:
    await limit(app, zoom_light_per_second=0)
    answers = [await api(app, "users/me") for _ in range(100)]
    assert {answer.status_code for answer in answers} == {200}
    assert told(answers[0]) == (None,) * 4


async def test_a_dead_token_is_not_counted(app: SandboxApp) -> None:
    await limit(app, zoom_light_per_second=1)
    for _ in range(3):
        assert await refused(app, "users/me", "expired-1") == (401, 124)
    assert (await api(app, "users/me")).status_code == 200


async def test_a_deletion_whose_answer_is_lost_has_happened(app: SandboxApp) -> None:
    path = f"meetings/{twice((await add(app))['uuid'])}/recordings"
    await app.fault("server_error", match={"method": "DELETE"}, stage="answer", times=1)
    assert (await api(app, path, method="DELETE")).status_code == 500
    assert await refused(app, path) == (404, 3301)


async def test_answers_look_like_the_platforms(app: SandboxApp) -> None:
    answers = [await api(app, "users/me") for _ in range(5)]
    assert answers[0].headers["content-type"] == "application/json;charset=UTF-8"
    assert "no-store" in answers[0].headers["cache-control"]
    rids = {answer.headers["x-zm-trackingid"] for answer in answers}
    assert len(rids) == 5
    assert all(rid.startswith("v=2.0;clid=us02;rid=WEB_") and len(rid) == 56 for rid in rids)


async def test_a_body_that_does_not_parse(app: SandboxApp) -> None:
    answer = await app.http.post(
        "/zoom/oauth/token", content=b"{", headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 300)


async def test_statistics_leave_ids_out_of_paths(app: SandboxApp) -> None:
    uuid = (await add(app))["uuid"]
    await api(app, f"meetings/{twice(uuid)}/recordings")
    await api(app, "users/me/recordings")
    await api(app, "users/nobody/recordings", WHOLE_ACCOUNT)
    await api(app, "users", WHOLE_ACCOUNT)
    await api(app, "planets")
    stats = (await app.http.get("/_sandbox/stats")).json()["platforms"]["zoom"]
    assert stats == {
        "/zoom/v2/meetings/{id}/recordings": {"200": 1},
        "/zoom/v2/users": {"200": 1},
        "/zoom/v2/users/{id}/recordings": {"200": 1, "404": 1},
        "/zoom/{unknown}": {"404": 1},
    }


async def test_calls_are_on_record_without_their_tokens(app: SandboxApp) -> None:
    headers = {"authorization": f"Bearer {PERSON}", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    await app.http.get("/zoom/v2/users/me/recordings?page_size=3", headers=headers)
    (call,) = await app.received(kind="zoom")
    assert (call["method"], call["path"], call["status"]) == ("GET", "/zoom/v2/users/me/recordings", 200)
    assert (call["params"], call["traceparent"]) == ({"page_size": "3"}, headers["traceparent"])
    assert PERSON not in str(call)
