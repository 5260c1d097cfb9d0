"""Pictures and files on Telegram: what is sent, in which order, and the effect of a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx
import pytest
import structlog

from common.errors import ChannelError, Consequence
from common.messages import Message
from notifier.channels.base import Interrupted, Receipt
from notifier.channels.telegram import TelegramChannel
from notifier.channels.telegram_markup import MAX_STYLES, units
from notifier.channels.telegram_posts import MAX_CAPTION, Method, posts_of
from tests.support.channels import notifier_settings
from tests.support.fake_receiver import client_of
from tests.support.sample_deliveries import PNG, TOKEN, chart, message, parcel, table

NOW = datetime(2026, 11, 5, 12, 0, 0, tzinfo=UTC)
GROUP = -1001234567890
TOO_LONG = "word " * 300
REFUSED = httpx.Response(
    400, json={"ok": False, "error_code": 400, "description": "Bad Request: IMAGE_PROCESS_FAILED"}
)


def refusal(status: int, description: str, **parameters: int) -> httpx.Response:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return httpx.Response(status, json=body | ({"parameters": parameters} if parameters else {}))


@dataclass(frozen=True)
class Asked:
    """One call: the method, its fields, and the file it carried."""

    method: str
    fields: Mapping[str, Any]
    filename: str | None = None
    media_type: str | None = None
    content: bytes | None = None


class Telegram:
    """Answers with the prepared answers in turn, then accepts everything; keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[Asked] = []
        self.channel = TelegramChannel(client_of(self._receive), notifier_settings())

    @property
    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    def _receive(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(_read(request))
        if self._answers:
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return httpx.Response(200, json={"ok": True, "result": {"message_id": 100 + len(self.asked)}})

    async def send(self, content: Message, config: Mapping[str, Any] | None = None, **given: Any) -> Receipt:
        delivery = parcel(config or {"chat_id": GROUP}, secret=TOKEN, content=content, **given)
        return await self.channel.send(delivery, now=NOW)


def _read(request: httpx.Request) -> Asked:
    method = request.url.path.rpartition("/")[2]
    content_type = request.headers["content-type"]
    if content_type == "application/json":
        return Asked(method, json.loads(request.content))
    document = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        f"content-type: {content_type}\r\n\r\n".encode() + request.content
    )
    fields: dict[str, str] = {}
    file: tuple[str, str, bytes] | None = None
    for part in document.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        if filename := part.get_filename():
            file = (filename, part.get_content_type(), payload)
        else:
            fields[str(name)] = payload.decode()
    assert file is not None
    return Asked(method, fields, *file)


class TestPosts:
    def test_a_short_text_is_the_caption(self) -> None:
        (photo,) = posts_of(message("x" * MAX_CAPTION, None, chart=chart()))
        assert (photo.method, photo.words and photo.words.plain) == (Method.PHOTO, "x" * MAX_CAPTION)

    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("x" * (MAX_CAPTION + 1), None),
            ("😀" * (MAX_CAPTION // 2 + 1), None),
            ("x" * (MAX_STYLES + 1), "<b>x</b>" * (MAX_STYLES + 1)),
        ],
        ids=["characters", "units", "styles"],
    )
    def test_a_longer_one_follows_the_picture(self, text: str, html: str | None) -> None:
        photo, *texts = posts_of(message(text, html, chart=chart()))
        assert (photo.method, photo.words) == (Method.PHOTO, None)
        assert {each.method for each in texts} == {Method.TEXT}
        assert "".join(each.words.plain for each in texts if each.words) == text

    def test_markup_counts_as_it_is_shown(self) -> None:
        html = f'<a href="https://example.com/{"x" * 2000}">more</a>'
        (photo,) = posts_of(message("more", html, chart=chart()))
        assert photo.words is not None
        assert (photo.words.html, units(photo.words.plain)) == (html, 4)

    def test_files_are_sent_last_and_separately(self) -> None:
        sent = posts_of(message(TOO_LONG, None, chart=chart(), files=(table("a.csv"), table("b.csv"))))
        assert [each.method for each in sent] == ["sendPhoto", "sendMessage", "sendDocument", "sendDocument"]
        assert [each.upload.filename for each in sent[2:] if each.upload] == ["a.csv", "b.csv"]

    def test_a_picture_without_text_has_no_caption(self) -> None:
        (photo,) = posts_of(message(" \n ", None, chart=chart()))
        assert (photo.method, photo.words) == (Method.PHOTO, None)


async def test_the_parts_are_counted_for_the_limits_of_the_chat() -> None:
    channel = Telegram().channel
    assert channel.messages(message()) == 1
    assert channel.messages(message(chart=chart())) == 1
    assert channel.messages(message(TOO_LONG, None, chart=chart(), files=(table(),))) == 3


async def test_a_report_is_the_caption_of_its_chart() -> None:
    telegram = Telegram()
    content = message(chart=chart(), files=(table(),))
    receipt = await telegram.send(content, {"chat_id": GROUP, "message_thread_id": 5})
    address = {"chat_id": str(GROUP), "message_thread_id": "5"}
    caption = {"caption": "<b>Spend</b> &amp; reach", "parse_mode": "HTML"}
    assert telegram.asked == [
        Asked("sendPhoto", address | caption, "chart-2026-11-05.png", "image/png", PNG),
        Asked("sendDocument", address, "report-2026-11-05.csv", "text/csv", content.files[0].data),
    ]
    assert receipt == Receipt(200, {"sent": [101, 102], "parts": 2}, None)


@pytest.mark.parametrize("filename", ["Отчёт.csv", 'with "quotes".csv', "два слова & more;x=1.csv"])
async def test_a_file_keeps_its_name(filename: str) -> None:
    telegram = Telegram()
    await telegram.send(message(files=(table(filename),)))
    assert telegram.asked[1].filename in (filename, filename.replace('"', "%22"))


async def test_each_sent_part_is_recorded_and_not_repeated() -> None:
    notes: list[Mapping[str, Any]] = []

    async def note(progress: Mapping[str, Any]) -> None:
        notes.append(progress)

    content = message(TOO_LONG, None, chart=chart(), files=(table(),))
    telegram = Telegram(
        httpx.Response(200, json={"ok": True, "result": {"message_id": 7}}),
        refusal(429, "Too Many Requests: retry after 9", retry_after=9),
    )
    with pytest.raises(Interrupted) as interrupted:
        await telegram.send(content, note=note)
    assert notes == [{"sent": [7], "parts": 3}]
    assert interrupted.value.progress == notes[-1]
    again = Telegram()
    receipt = await again.send(content, progress=notes[-1], note=note)
    assert again.methods == ["sendMessage", "sendDocument"]
    assert receipt.progress == {"sent": [7, 101, 102], "parts": 3}


@pytest.mark.parametrize(
    "answer",
    [
        REFUSED,
        refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        refusal(400, "Bad Request: not enough rights to send photos to the chat"),
        refusal(413, "Request Entity Too Large"),
        httpx.Response(413, text="<html>413 Request Entity Too Large</html>"),
    ],
    ids=["unreadable", "dimensions", "rights", "too large", "a proxy"],
)
async def test_a_refused_picture_does_not_prevent_the_text(answer: httpx.Response) -> None:
    telegram = Telegram(answer)
    with structlog.testing.capture_logs() as logs:
        await telegram.send(message(chart=chart()))
    assert telegram.methods == ["sendPhoto", "sendMessage"]
    assert telegram.asked[1].fields["text"] == "<b>Spend</b> &amp; reach"
    assert [entry["event"] for entry in logs] == ["picture refused"]


async def test_a_refused_picture_without_text_is_dropped() -> None:
    content = message(TOO_LONG, None, chart=chart(), files=(table(),))
    telegram = Telegram(REFUSED)
    receipt = await telegram.send(content)
    assert telegram.methods == ["sendPhoto", "sendMessage", "sendDocument"]
    assert receipt.progress == {"sent": [0, 102, 103], "parts": 3}


@pytest.mark.parametrize(
    ("answer", "consequence"),
    [
        (refusal(400, "Bad Request: chat not found"), Consequence.GONE),
        (refusal(401, "Unauthorized"), Consequence.REAUTH),
        (refusal(403, "Forbidden: bot was blocked by the user"), Consequence.GONE),
        (refusal(429, "Too Many Requests: retry after 3", retry_after=3), Consequence.RATE),
        (httpx.Response(502, text="<html>"), Consequence.TRANSIENT),
        (httpx.ReadTimeout(""), Consequence.TRANSIENT),
    ],
    ids=["no chat", "token", "blocked", "rate", "gateway", "no answer"],
)
async def test_other_errors_of_a_picture_fail_the_delivery(
    answer: httpx.Response | Exception, consequence: Consequence
) -> None:
    telegram = Telegram(answer)
    with pytest.raises(ChannelError) as error:
        await telegram.send(message(chart=chart()))
    assert error.value.consequence is consequence
    assert telegram.methods == ["sendPhoto"]


async def test_a_refused_file_fails_the_delivery_and_keeps_its_progress() -> None:
    telegram = Telegram(
        httpx.Response(200, json={"ok": True, "result": {"message_id": 7}}),
        refusal(400, "Bad Request: not enough rights to send documents to the chat"),
    )
    with pytest.raises(Interrupted) as interrupted:
        await telegram.send(message(files=(table(),)))
    assert isinstance(interrupted.value.error, ChannelError)
    assert interrupted.value.error.permanent
    assert interrupted.value.progress == {"sent": [7], "parts": 2}


async def test_an_unparsable_caption_is_sent_as_plain_text() -> None:
    telegram = Telegram(refusal(400, "Bad Request: can't parse entities: Unsupported start tag"))
    await telegram.send(message("Spend < reach", "<table>Spend</table> &lt; reach", chart=chart()))
    assert telegram.methods == ["sendPhoto", "sendPhoto"]
    assert telegram.asked[1].fields == {"chat_id": str(GROUP), "caption": "Spend < reach"}


async def test_every_part_follows_a_migrated_chat() -> None:
    moved = refusal(
        400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100777
    )
    telegram = Telegram(moved)
    receipt = await telegram.send(message(chart=chart(), files=(table(),)))
    assert [asked.fields["chat_id"] for asked in telegram.asked] == [str(GROUP), "-100777", "-100777"]
    assert receipt.config == {"chat_id": -100777}
