import asyncio
from datetime import UTC, datetime

import pytest

from sandbox.settings import Settings, SettingsError
from tests.unit.sandbox.conftest import ACCOUNT, BOT, TOKEN, SandboxApp


async def say(app: SandboxApp, text: str, chat: int | str = 1) -> None:
    assert (await app.bot("sendMessage", chat_id=chat, text=text))["ok"]


async def test_what_was_received_newest_last(app: SandboxApp) -> None:
    for number in range(5):
        await say(app, f"n{number}")
    messages = await app.received(kind="telegram", limit=3)
    assert [message["text"] for message in messages] == ["n2", "n3", "n4"]
    assert [message["seq"] for message in messages] == sorted(message["seq"] for message in messages)
    assert messages[0]["chat_id"] == 1


async def test_by_chat_by_name_and_since(app: SandboxApp) -> None:
    await say(app, "a", -5)
    await say(app, "b", "@team_news")
    app.clock.advance(60)
    await say(app, "c", -5)
    assert [message["text"] for message in await app.received(chat="-5")] == ["a", "c"]
    assert [message["text"] for message in await app.received(chat="@team_news")] == ["b"]
    moment = datetime.fromtimestamp(app.clock.now(), UTC).isoformat()
    assert [message["text"] for message in await app.received(chat="-5", since=moment)] == ["c"]


async def test_following_from_a_sequence_number(app: SandboxApp) -> None:
    await say(app, "a")
    start = (await app.http.get("/_sandbox/received", params={"limit": 0})).json()
    assert start["messages"] == []
    await say(app, "b")
    await say(app, "c")
    following = await app.received(after=start["last_seq"], limit=1)
    assert [message["text"] for message in following] == ["b"]


async def test_a_long_poll_answers_when_something_matches_arrives(app: SandboxApp) -> None:
    await say(app, "old")
    last = (await app.received())[-1]["seq"]
    poll = asyncio.create_task(app.received(after=last, wait=30, kind="telegram", chat="7"))
    await asyncio.sleep(0)
    await say(app, "for another chat", 8)
    await say(app, "for this one", 7)
    async with asyncio.timeout(5):
        assert [message["text"] for message in await poll] == ["for this one"]


async def test_a_long_poll_answers_empty_when_its_time_is_up(app: SandboxApp) -> None:
    async with asyncio.timeout(5):
        assert await app.received(after=1, wait=0.01) == []


async def test_counting_waits_for_as_many_as_asked(app: SandboxApp) -> None:
    query = {"kind": "telegram", "at_least": "3", "wait": "30"}
    counting = asyncio.create_task(app.http.get("/_sandbox/received/count", params=query))
    await asyncio.sleep(0)
    for _ in range(3):
        await say(app, "x")
    async with asyncio.timeout(5):
        assert (await counting).json()["count"] == 3


async def test_secrets_are_not_on_record(app: SandboxApp) -> None:
    await app.graph("me", appsecret_proof="abc", fields="name")
    await app.http.post(
        "/v26.0/oauth/access_token", data={"client_id": "1", "client_secret": "hush", "code": "AQx"}
    )
    await app.http.post(
        "/v26.0/", data={"access_token": TOKEN, "batch": f'[{{"relative_url":"me?access_token={TOKEN}"}}]'}
    )
    text = (await app.http.get("/_sandbox/received")).text
    assert '"fields":"name"' in text
    for secret in (TOKEN, "abc", "hush", "AQx", BOT[4:]):
        assert secret not in text


async def test_statistics_leave_ids_out_of_paths(app: SandboxApp) -> None:
    await app.graph(f"{ACCOUNT}/insights")
    await app.graph("act_402210009452234/insights")
    await app.graph("nobody")
    await say(app, "x")
    await app.http.post("/hooks/a", content=b"{}")
    stats = (await app.http.get("/_sandbox/stats")).json()
    assert stats["calls"] == 5
    assert stats["platforms"]["facebook"] == {"/act_{id}/insights": {"200": 2}, "/nobody": {"404": 1}}
    assert stats["platforms"]["telegram"] == {"/bot{token}/sendmessage": {"200": 1}}
    assert stats["received"] == {"facebook": 3, "telegram": 1, "webhook": 1}


async def test_the_clock_moves_and_ticks_on(app: SandboxApp) -> None:
    before = app.clock.now()
    await app.http.post("/_sandbox/clock", json={"advance_seconds": 3600})
    assert app.clock.now() == before + 3600
    answer = await app.http.post("/_sandbox/clock", json={"set": "2027-01-01T00:00:00+01:00"})
    assert answer.json()["iso"] == "2026-12-31T23:00:00+00:00"
    for wrong in ({}, {"set": "2027-01-01T00:00:00"}, {"set": "soon"}, {"advance_seconds": "1"}):
        assert (await app.http.post("/_sandbox/clock", json=wrong)).status_code == 400


async def test_a_reset_forgets_everything_but_the_sequence(app: SandboxApp) -> None:
    await say(app, "x")
    await app.fault("server_error")
    await app.http.put("/_sandbox/chats/1", json={"state": "blocked"})
    await app.http.put("/_sandbox/hooks/a", json={"status": 500})
    await app.http.put("/_sandbox/limits", json={"facebook_app_calls_per_hour": 1})
    await app.http.post("/_sandbox/clock", json={"advance_seconds": 1000})
    assert (await app.http.post("/_sandbox/reset")).status_code == 204
    assert await app.received() == []
    assert (await app.http.get("/_sandbox/hooks")).json() == {}
    assert (await app.http.get("/_sandbox/stats")).json()["calls"] == 0
    assert (await app.bot("sendMessage", chat_id=1, text="x"))["result"]["message_id"] == 1
    assert [message["seq"] for message in await app.received()] == [2]
    assert [(await app.graph("me")).status_code for _ in range(2)] == [200, 200]


async def test_a_reset_ends_a_long_poll_and_is_noticed_by_the_next(app: SandboxApp) -> None:
    before = (await app.http.get("/_sandbox/received")).json()["generation"]
    poll = asyncio.create_task(app.received(after=1, wait=30))
    await asyncio.sleep(0)
    await app.http.post("/_sandbox/reset")
    async with asyncio.timeout(5):
        assert await poll == []
        assert await app.received(after=1, wait=30, generation=before) == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/_sandbox/received?limit=-1", "limit"),
        ("/_sandbox/received?after=x", "after"),
        ("/_sandbox/received?wait=1e9", "wait"),
        ("/_sandbox/received?wait=nan", "wait"),
        ("/_sandbox/received?since=2026-11-21T12:00:00", "since"),
    ],
)
async def test_bad_questions(app: SandboxApp, path: str, field: str) -> None:
    answer = await app.http.get(path)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize(
    ("path", "document"),
    [("/_sandbox/chats/1", {"state": "asleep"}), ("/_sandbox/chats/one", {"state": "normal"})],
)
async def test_a_chat_that_cannot_be_set_up(app: SandboxApp, path: str, document: dict[str, str]) -> None:
    assert (await app.http.put(path, json=document)).status_code == 400


async def test_bodies_that_are_not_objects(app: SandboxApp) -> None:
    for body in (b"", b"[]", b"{"):
        assert (await app.http.post("/_sandbox/faults", content=body)).status_code == 400


async def test_health_and_page(app: SandboxApp) -> None:
    assert (await app.http.get("/healthz")).json() == {"status": "ok"}
    page = await app.http.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "https://" not in page.text.replace("https?", "")
    assert (await app.http.get("/nothing/here")).status_code == 404


async def test_a_body_larger_than_anything_is_not_taken(app: SandboxApp) -> None:
    answer = await app.http.post("/hooks/a", content=b"x" * (64 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert await app.received() == []


def test_settings_come_from_the_environment() -> None:
    chosen = Settings.from_environment(
        {
            "PORT": "9",
            "SEED": " 7 ",
            "FACEBOOK_REQUIRE_PROOF": "yes",
            "FACEBOOK_REPORT_SECONDS": "0.5",
            "HOST": "",
        }
    )
    assert (chosen.port, chosen.seed, chosen.facebook_require_proof) == (9, 7, True)
    assert (chosen.facebook_report_seconds, chosen.host) == (0.5, "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("SEED", "-1"), ("FACEBOOK_REQUIRE_PROOF", "maybe"), ("PORT", "1.5")],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})
