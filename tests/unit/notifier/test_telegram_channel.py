"""Requests to Telegram, and the consequence of its responses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from common.errors import ChannelError, Consequence
from common.retry import TELEGRAM_SCHEDULE
from common.secrets.redaction import hide_secrets
from notifier.channels.base import Interrupted, OutcomeUnknown, Receipt
from notifier.channels.telegram import TelegramChannel
from tests.support.channels import notifier_settings
from tests.support.fake_receiver import client_of
from tests.support.planted_secrets import PlantedSecrets
from tests.support.sample_deliveries import TOKEN, TRACEPARENT, message, parcel
from tests.support.secret_echoes import echo
from tests.support.spans import recorded_spans

NOW = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)
GROUP = -1001234567890
LONG = "\n\n".join(f"Paragraph {number}: " + "word " * 300 for number in range(6))
LONG_HTML = "\n\n".join(f"<b>Paragraph {number}</b>: <i>" + "word " * 300 + "</i>" for number in range(6))
Answer = httpx.Response | Exception


def accepted(identifier: int = 7) -> httpx.Response:
    return httpx.Response(200, json={"ok": True, "result": {"message_id": identifier, "text": "…"}})


def refusal(status: int, description: str, **parameters: int) -> httpx.Response:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return httpx.Response(status, json=body)


class Telegram:
    """Answers with the prepared answers in turn, then accepts everything; keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.urls: list[str] = []
        self.channel = TelegramChannel(client_of(self._receive), notifier_settings())

    def _receive(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        self.requests.append(json.loads(request.content))
        answer = self._answers.pop(0) if self._answers else accepted(100 + len(self.requests))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        text: str = "Spend & reach",
        html: str | None = "<b>Spend</b> &amp; reach",
        progress: Mapping[str, Any] | None = None,
        secret: str | None = TOKEN,
    ) -> Receipt:
        sent = parcel(
            {"chat_id": GROUP} if config is None else config,
            secret=secret,
            content=message(text, html),
            progress=progress,
        )
        return await self.channel.send(sent, now=NOW)

    async def refuses(self, config: Mapping[str, Any] | None = None, **given: Any) -> ChannelError:
        with pytest.raises(ChannelError) as error:
            await self.send(config, **given)
        return error.value

    async def interrupts(self, config: Mapping[str, Any] | None = None, **given: Any) -> Interrupted:
        with pytest.raises(Interrupted) as interruption:
            await self.send(config, **given)
        return interruption.value


async def test_a_report_is_sent_with_markup_and_without_previews() -> None:
    telegram = Telegram()
    receipt = await telegram.send({"chat_id": GROUP, "message_thread_id": 5})
    assert telegram.requests == [
        {
            "chat_id": GROUP,
            "message_thread_id": 5,
            "text": "<b>Spend</b> &amp; reach",
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
    ]
    assert telegram.urls == [f"https://api.telegram.org/bot{TOKEN}/sendMessage"]
    assert receipt == Receipt(200, {"sent": [101], "parts": 1}, None)


async def test_text_without_markup_is_sent_as_text() -> None:
    telegram = Telegram()
    await telegram.send({"chat_id": "@reports"}, text="a < b & c", html=None)
    assert telegram.requests == [
        {"chat_id": "@reports", "text": "a < b & c", "link_preview_options": {"is_disabled": True}}
    ]


@pytest.mark.parametrize("chat_id", ["-1001234567890", -1001234567890])
async def test_a_chat_id_in_text_is_a_number(chat_id: Any) -> None:
    telegram = Telegram()
    await telegram.send({"chat_id": chat_id})
    assert telegram.requests[0]["chat_id"] == GROUP


async def test_a_long_report_is_sent_part_by_part() -> None:
    telegram = Telegram()
    notes: list[Mapping[str, Any]] = []

    async def note(progress: Mapping[str, Any]) -> None:
        notes.append(progress)

    sent = parcel({"chat_id": GROUP}, secret=TOKEN, content=message(LONG, LONG_HTML), note=note)
    receipt = await telegram.channel.send(sent, now=NOW)
    parts = len(telegram.requests)
    assert parts == 3
    assert receipt.progress == {"sent": [101, 102, 103], "parts": 3}
    assert notes == [{"sent": [101], "parts": 3}, {"sent": [101, 102], "parts": 3}]
    assert telegram.channel.messages(sent.message) == 3
    assert all(request["parse_mode"] == "HTML" for request in telegram.requests)


async def test_a_retry_resumes_after_the_parts_that_were_accepted() -> None:
    whole = Telegram()
    await whole.send(text=LONG, html=LONG_HTML)
    telegram = Telegram(accepted(1), refusal(500, "Internal Server Error: restart"))
    interruption = await telegram.interrupts(text=LONG, html=LONG_HTML)
    assert interruption.progress == {"sent": [1], "parts": 3}
    assert isinstance(interruption.error, ChannelError)
    assert interruption.error.consequence is Consequence.TRANSIENT
    assert interruption.config is None
    again = Telegram()
    receipt = await again.send(text=LONG, html=LONG_HTML, progress=interruption.progress)
    assert again.requests == whole.requests[1:]
    assert receipt.progress == {"sent": [1, 101, 102], "parts": 3}


async def test_progress_of_a_different_split_is_ignored() -> None:
    telegram = Telegram()
    await telegram.send(text=LONG, html=LONG_HTML, progress={"sent": [1, 2, 3, 4], "parts": 5})
    assert len(telegram.requests) == 3


async def test_nothing_is_resent_when_only_the_outcome_was_lost() -> None:
    telegram = Telegram()
    receipt = await telegram.send(progress={"sent": [7], "parts": 1})
    assert telegram.requests == []
    assert receipt.progress == {"sent": [7], "parts": 1}


@pytest.mark.parametrize(
    ("status", "description", "consequence"),
    [
        (400, "Bad Request: chat not found", Consequence.GONE),
        (400, "Bad Request: private chat not found", Consequence.GONE),
        (400, "Bad Request: PEER_ID_INVALID", Consequence.GONE),
        (400, "Bad Request: chat_id is empty", Consequence.INVALID),
        (400, "Bad Request: message text is empty", Consequence.INVALID),
        (400, "Bad Request: message is too long", Consequence.SPLIT),
        (400, "Bad Request: message caption is too long", Consequence.SPLIT),
        (400, "Bad Request: message to be replied not found", Consequence.INVALID),
        (400, "Bad Request: wrong HTTP URL specified", Consequence.INVALID),
        (400, "Bad Request: failed to get HTTP URL content", Consequence.INVALID),
        (400, "Bad Request: wrong type of the web page content", Consequence.INVALID),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", Consequence.INVALID),
        (400, "Bad Request: file is too big", Consequence.INVALID),
        (400, "Bad Request: not enough rights to send text messages to the chat", Consequence.PERM),
        (400, "Bad Request: TOPIC_CLOSED", Consequence.PERM),
        (400, "Bad Request: BUTTON_DATA_INVALID", Consequence.INVALID),
        (400, "", Consequence.INVALID),
        (401, "Unauthorized", Consequence.REAUTH),
        (401, "Unauthorized: invalid token specified", Consequence.REAUTH),
        (403, "Forbidden: bot was blocked by the user", Consequence.GONE),
        (403, "Forbidden: user is deactivated", Consequence.GONE),
        (403, "Forbidden: bot was kicked from the group chat", Consequence.GONE),
        (403, "Forbidden: bot was kicked from the channel chat", Consequence.GONE),
        (403, "Forbidden: bot is not a member of the supergroup chat", Consequence.GONE),
        (403, "Forbidden: the group chat was deleted", Consequence.GONE),
        (403, "Forbidden: bot can't initiate conversation with a user", Consequence.GONE),
        (404, "Not Found", Consequence.INVALID),
        (404, "Not Found: method not found", Consequence.INVALID),
        (409, "Conflict: terminated by other getUpdates request", Consequence.INVALID),
        (413, "Request Entity Too Large", Consequence.SPLIT),
        (418, "I'm a teapot", Consequence.INVALID),
        (421, "Misdirected Request: unallowed token specified", Consequence.TRANSIENT),
        (500, "Internal Server Error: restart", Consequence.TRANSIENT),
        (502, "Bad Gateway", Consequence.TRANSIENT),
    ],
)
async def test_the_consequence_of_each_refusal(
    status: int, description: str, consequence: Consequence
) -> None:
    telegram = Telegram(refusal(status, description))
    error = await telegram.refuses()
    assert error.consequence is consequence
    assert (error.code, error.http_status) == (str(status), status)
    assert description in str(error)
    assert len(telegram.requests) == 1


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(429, "Too Many Requests: retry after 9", retry_after=9), 9.0),
        (httpx.Response(429, headers={"retry-after": "4"}, json={"ok": False, "error_code": 429}), 4.0),
        (httpx.Response(429, headers={"retry-after": "4"}, text="<html>Too Many Requests</html>"), 4.0),
        (refusal(429, "Too Many Requests"), None),
        (
            httpx.Response(429, json={"ok": False, "error_code": 429, "parameters": {"retry_after": True}}),
            None,
        ),
        (httpx.Response(429, json={"ok": False, "error_code": 429, "parameters": "5"}), None),
    ],
)
async def test_retry_after_of_telegram(answer: httpx.Response, seconds: float | None) -> None:
    error = await Telegram(answer).refuses()
    assert (error.consequence, error.retry_after) == (Consequence.RATE, seconds)


async def test_unparsable_markup_is_sent_once_as_plain_text() -> None:
    fault = refusal(400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0')
    telegram = Telegram(fault)
    receipt = await telegram.send(html="<x>Spend</x> &amp; reach")
    assert receipt.status_code == 200
    assert [request["text"] for request in telegram.requests] == ["<x>Spend</x> &amp; reach", "Spend & reach"]
    assert "parse_mode" not in telegram.requests[1]
    telegram = Telegram(fault, fault, fault)
    error = await telegram.refuses()
    assert error.consequence is Consequence.INVALID
    assert len(telegram.requests) == 2


async def test_only_the_unparsable_part_loses_its_markup() -> None:
    telegram = Telegram(accepted(1), refusal(400, "Bad Request: can't parse entities: …"))
    await telegram.send(text=LONG, html=LONG_HTML)
    modes = [request.get("parse_mode") for request in telegram.requests]
    assert modes == ["HTML", "HTML", None, "HTML"]
    assert "<b>" in telegram.requests[1]["text"]
    assert "<b>" not in telegram.requests[2]["text"]


async def test_a_migrated_chat_is_followed_and_stored() -> None:
    moved = refusal(
        400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1009999
    )
    telegram = Telegram(moved)
    receipt = await telegram.send({"chat_id": -42, "note": "kept"}, text=LONG, html=LONG_HTML)
    assert [request["chat_id"] for request in telegram.requests] == [-42, -1009999, -1009999, -1009999]
    assert receipt.config == {"chat_id": -1009999, "note": "kept"}


async def test_a_migration_is_stored_even_if_the_next_call_fails() -> None:
    moved = refusal(
        400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1009999
    )
    telegram = Telegram(moved, refusal(500, "Internal Server Error"))
    interruption = await telegram.interrupts({"chat_id": -42})
    assert interruption.config == {"chat_id": -1009999}
    assert interruption.progress == {"sent": [], "parts": 1}
    telegram = Telegram(moved, moved, moved)
    interruption = await telegram.interrupts({"chat_id": -42})
    assert len(telegram.requests) == 2
    assert isinstance(interruption.error, ChannelError)
    assert interruption.error.consequence is Consequence.GONE


async def test_a_migration_without_a_new_id_is_permanent() -> None:
    telegram = Telegram(refusal(400, "Bad Request: group chat was upgraded to a supergroup chat"))
    assert (await telegram.refuses()).consequence is Consequence.GONE


async def test_a_deleted_thread_is_dropped_from_the_destination() -> None:
    telegram = Telegram(refusal(400, "Bad Request: message thread not found"))
    receipt = await telegram.send({"chat_id": GROUP, "message_thread_id": 5})
    assert [request.get("message_thread_id") for request in telegram.requests] == [5, None]
    assert receipt.config == {"chat_id": GROUP}
    telegram = Telegram(refusal(400, "Bad Request: message thread not found"))
    assert (await telegram.refuses()).consequence is Consequence.GONE


async def test_several_remedies_combine() -> None:
    telegram = Telegram(
        refusal(
            400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1009999
        ),
        refusal(400, "Bad Request: message thread not found"),
        refusal(400, "Bad Request: can't parse entities: …"),
    )
    receipt = await telegram.send({"chat_id": -42, "message_thread_id": 5})
    assert len(telegram.requests) == 4
    assert receipt.config == {"chat_id": -1009999}


@pytest.mark.parametrize(
    ("answer", "consequence", "unknown"),
    [
        (httpx.Response(200, text="<html>Welcome to the hotel</html>"), Consequence.TRANSIENT, True),
        (httpx.Response(200, text='{"ok":true,"resu'), Consequence.TRANSIENT, True),
        (httpx.Response(200, json=[]), Consequence.TRANSIENT, True),
        (httpx.Response(200, text="[" * 100_000), Consequence.TRANSIENT, True),
        (httpx.Response(302, headers={"location": "https://elsewhere"}), Consequence.TRANSIENT, False),
        (httpx.Response(403, text="<html>Blocked by the firewall</html>"), Consequence.INVALID, False),
        (httpx.Response(413, text="<html>Too large</html>"), Consequence.SPLIT, False),
        (httpx.Response(502, text="<html>Bad Gateway</html>"), Consequence.TRANSIENT, False),
        (httpx.Response(504, text=""), Consequence.TRANSIENT, False),
    ],
)
async def test_responses_that_are_not_telegrams(
    answer: httpx.Response, consequence: Consequence, unknown: bool
) -> None:
    error = await Telegram(answer).refuses()
    assert error.consequence is consequence
    assert isinstance(error, OutcomeUnknown) is unknown


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.ReadTimeout("slow"), True),
        (httpx.ReadError("reset"), True),
    ],
)
async def test_a_lost_connection_says_whether_it_may_have_been_delivered(
    fault: httpx.TransportError, unknown: bool
) -> None:
    error = await Telegram(fault).refuses()
    assert error.consequence is Consequence.TRANSIENT
    assert isinstance(error, OutcomeUnknown) is unknown
    assert ("may have been delivered" in str(error)) is unknown


@pytest.mark.parametrize(
    "secret", [None, "", "token", "12:", ":abc", "12:a/../../x", "12:a b", f"{TOKEN}/", f"bot{TOKEN}"]
)
async def test_a_malformed_token_is_never_put_into_a_url(secret: str | None) -> None:
    telegram = Telegram()
    error = await telegram.refuses(secret=secret)
    assert error.consequence is Consequence.REAUTH
    assert telegram.urls == []
    assert str(error) == "the bot token is missing or malformed"


@pytest.mark.parametrize("config", [{}, {"chat_id": None}, {"chat_id": ""}, {"chat_id": 0}, {"chat_id": [1]}])
async def test_a_destination_without_a_chat_is_refused(config: Mapping[str, Any]) -> None:
    telegram = Telegram()
    assert (await telegram.refuses(config)).consequence is Consequence.INVALID
    assert telegram.urls == []


async def test_an_empty_message_is_refused_without_a_call() -> None:
    telegram = Telegram()
    assert (await telegram.refuses(text=" \n", html="<b> </b>")).consequence is Consequence.INVALID
    assert telegram.urls == []


async def test_a_truncated_description_shows_no_part_of_the_token() -> None:
    planted = PlantedSecrets()
    planted.plant("the token", TOKEN, public=TOKEN.partition(":")[0] + ":")
    for before in range(0, 320, 7):
        said = "x" * before + " " + echo(TOKEN)
        for answer in (refusal(400, said), refusal(401, said), httpx.Response(502, text=said)):
            error = await Telegram(answer).refuses()
            assert not planted.look([("an error", str(error))])


async def test_the_token_reaches_neither_error_nor_span(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = f"Bad Request: no such bot {TOKEN} at /bot{TOKEN}/sendMessage"
    with recorded_spans(monkeypatch) as spans:
        errors: Sequence[Exception] = [
            await Telegram(refusal(400, echo)).refuses(),
            await Telegram(httpx.Response(502, text=f"upstream /bot{TOKEN}/sendMessage failed")).refuses(),
            await Telegram(httpx.ConnectError(f"cannot reach /bot{TOKEN}/sendMessage")).refuses(),
            await Telegram(httpx.ReadError(f"lost /bot{TOKEN}/sendMessage")).refuses(),
        ]
        await Telegram().send()
    secret = TOKEN.partition(":")[2]
    for error in errors:
        assert secret not in str(error)
    assert len(spans.ended()) == 5
    assert secret not in spans.text()
    span = spans.ended()[-1]
    assert span.name == "POST /bot{token}/sendMessage"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "url.template": "/bot{token}/sendMessage",
        "server.address": "api.telegram.org",
        "server.port": 443,
        "http.response.status_code": 200,
    }
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == TRACEPARENT.split("-")[2]


def test_a_library_that_logs_the_url_does_not_log_the_token() -> None:
    line = f'HTTP Request: POST https://api.telegram.org/bot{TOKEN}/sendMessage "HTTP/1.1 200 OK"'
    assert TOKEN.partition(":")[2] not in hide_secrets(line)


def test_limits_are_telegrams() -> None:
    channel = Telegram().channel
    private = parcel({"chat_id": 42}, secret=TOKEN).target
    group = parcel({"chat_id": GROUP}, secret=TOKEN).target
    public = parcel({"chat_id": "@reports"}, secret=TOKEN).target
    assert [(limit.count, limit.period) for limit in channel.limits(private)] == [(60, 60.0), (30, 1.0)]
    for target in (group, public):
        assert [(limit.count, limit.period) for limit in channel.limits(target)] == [
            (60, 60.0),
            (30, 1.0),
            (20, 60.0),
        ]
    assert channel.pace_key(private) == channel.limits(private)[0].key == "telegram:700700700:42"
    assert channel.limits(private)[1].key == channel.limits(group)[1].key
    assert TOKEN.partition(":")[2] not in str(channel.limits(group))
    assert channel.schedule is TELEGRAM_SCHEDULE
