"""Telegram's own ways, as the sandbox imitates them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from common.errors import ChannelError, Consequence
from common.messages import Message
from notifier.channels.base import Interrupted, OutcomeUnknown, Receipt
from notifier.channels.telegram_posts import MAX_CAPTION
from tests.support.channels import Sandbox, TelegramReceiving, unique
from tests.support.sample_deliveries import PNG, chart, message, table

ROWS = [f"Campaign {number}: 1 234,56 € spent, {number} 😀 clicks & <more>" for number in range(200)]
LONG = "\n".join(ROWS)
LONG_HTML = "\n".join(
    f'<b>Campaign {number}</b>: <a href="https://example.com/?id={number}&amp;x=1">1 234,56 €</a> spent, '
    f"<i>{number} 😀 clicks &amp; &lt;more&gt;</i>"
    for number in range(200)
)


@pytest.fixture
def telegram(sandbox: Sandbox, outbound: httpx.AsyncClient) -> TelegramReceiving:
    """A bot and a chat of this test's own."""
    return TelegramReceiving(sandbox, outbound)


async def send(telegram: TelegramReceiving, content: Message | None = None, **given: Any) -> Receipt:
    return await telegram.channel.send(telegram.parcel(content, **given), now=datetime.now(UTC))


async def refused(telegram: TelegramReceiving, **given: Any) -> ChannelError:
    with pytest.raises(ChannelError) as error:
        await send(telegram, **given)
    return error.value


def words(text: str) -> str:
    return re.sub(r"\s", "", text)


async def test_markup_arrives_as_style_and_links_without_preview(telegram: TelegramReceiving) -> None:
    html = '<b>Spend</b> &amp; <a href="https://example.com/">reach</a>'
    await send(telegram, message("Spend & reach", html))
    [arrived] = await telegram.arrived()
    assert arrived["text"] == "Spend & reach"
    assert [(entity["type"], entity["offset"], entity["length"]) for entity in arrived["entities"]] == [
        ("bold", 0, 5),
        ("text_link", 8, 5),
    ]
    assert arrived["link_preview_options"] == {"is_disabled": True}


async def test_a_topic_of_a_forum_is_addressed(telegram: TelegramReceiving) -> None:
    await send(telegram, config={"chat_id": telegram.chat_id, "message_thread_id": 77})
    [arrived] = await telegram.arrived()
    assert arrived["message_thread_id"] == 77


async def test_a_long_report_arrives_whole_and_styled(telegram: TelegramReceiving) -> None:
    receipt = await send(telegram, message(LONG, LONG_HTML))
    arrived = await telegram.arrived()
    assert len(arrived) > 3
    assert receipt.progress == {"sent": [part["message_id"] for part in arrived], "parts": len(arrived)}
    assert words("".join(part["text"] for part in arrived)) == words(LONG)
    entities = [entity for part in arrived for entity in part["entities"]]
    assert sum(entity["type"] == "bold" for entity in entities) == len(ROWS)
    assert sum(entity["type"] == "text_link" for entity in entities) == len(ROWS)


async def test_a_retry_sends_only_the_parts_that_are_missing(
    telegram: TelegramReceiving, sandbox: Sandbox
) -> None:
    content = message(LONG, LONG_HTML)
    noted: list[Mapping[str, Any]] = []

    async def fail_after_the_second(progress: Mapping[str, Any]) -> None:
        noted.append(progress)
        if len(progress["sent"]) == 2:
            await sandbox.fault(kind="rate_limit", retry_after=11, match=telegram.match)

    with pytest.raises(Interrupted) as interruption:
        await send(telegram, content, note=fail_after_the_second)
    error = interruption.value.error
    assert isinstance(error, ChannelError)
    assert (error.consequence, error.retry_after) == (Consequence.RATE, 11.0)
    assert interruption.value.progress == noted[-1]
    assert len(await telegram.arrived()) == 2
    await send(telegram, content, progress=interruption.value.progress)
    assert words("".join(part["text"] for part in await telegram.arrived())) == words(LONG)


async def test_markup_telegram_refuses_arrives_as_text(telegram: TelegramReceiving) -> None:
    await send(telegram, message("Spend < reach", "<table>Spend</table> &lt; reach"))
    [arrived] = await telegram.arrived()
    assert (arrived["text"], arrived["entities"]) == ("Spend < reach", [])


async def test_a_chat_that_became_a_supergroup_is_followed(
    telegram: TelegramReceiving, sandbox: Sandbox
) -> None:
    new_chat = telegram.chat_id - 1_000_000
    old_chat = -unique()
    await sandbox.put(f"chats/{old_chat}", state="migrated", migrate_to_chat_id=new_chat)
    receipt = await send(telegram, config={"chat_id": old_chat})
    assert receipt.config == {"chat_id": new_chat}
    [arrived] = await telegram.arrived()
    assert arrived["chat_id"] == new_chat


async def test_a_topic_that_is_gone_costs_the_topic_not_the_message(telegram: TelegramReceiving) -> None:
    chat_id = -unique()
    receipt = await send(telegram, config={"chat_id": chat_id, "message_thread_id": 5})
    assert receipt.config == {"chat_id": chat_id}
    [arrived] = await telegram.arrived()
    assert "message_thread_id" not in arrived


@pytest.mark.parametrize(
    ("state", "consequence"),
    [
        ("missing", Consequence.GONE),
        ("blocked", Consequence.GONE),
        ("deactivated", Consequence.GONE),
        ("kicked", Consequence.GONE),
        ("read_only", Consequence.PERM),
    ],
)
async def test_a_chat_that_refuses_us(
    telegram: TelegramReceiving, sandbox: Sandbox, state: str, consequence: Consequence
) -> None:
    await sandbox.put(f"chats/{telegram.chat_id}", state=state)
    error = await refused(telegram)
    assert error.consequence is consequence
    assert error.permanent
    assert await telegram.arrived() == []


@pytest.mark.parametrize(
    ("token", "consequence"),
    [
        ("401401:" + "r" * 35, Consequence.REAUTH),
        ("0123:" + "r" * 35, Consequence.REAUTH),
        ("12345:tooshort", Consequence.REAUTH),
    ],
)
async def test_a_token_telegram_does_not_know(
    telegram: TelegramReceiving, token: str, consequence: Consequence
) -> None:
    error = await refused(telegram, secret=token)
    assert error.consequence is consequence
    assert token not in str(error)


async def test_a_server_error_passes(telegram: TelegramReceiving, sandbox: Sandbox) -> None:
    await sandbox.fault(kind="server_error", match=telegram.match)
    assert (await refused(telegram)).consequence is Consequence.TRANSIENT
    await send(telegram)
    assert len(await telegram.arrived()) == 1


@pytest.mark.parametrize("kind", ["truncated", "reset"])
async def test_an_answer_that_breaks_off_is_of_unknown_outcome(
    telegram: TelegramReceiving, sandbox: Sandbox, kind: str
) -> None:
    await sandbox.fault(kind=kind, stage="answer", match=telegram.match)
    assert isinstance(await refused(telegram), OutcomeUnknown)
    assert len(await telegram.arrived()) == 1


async def test_a_page_in_place_of_an_answer_is_of_unknown_outcome(
    telegram: TelegramReceiving, sandbox: Sandbox
) -> None:
    await sandbox.fault(kind="html", status=200, match=telegram.match)
    assert isinstance(await refused(telegram), OutcomeUnknown)


async def test_a_short_report_is_the_caption_of_its_chart(telegram: TelegramReceiving) -> None:
    await send(telegram, message(chart=chart()))
    [arrived] = await telegram.arrived()
    assert (arrived["text"], arrived["photo"][0]["file_size"]) == ("Spend & reach", len(PNG))
    assert [entity["type"] for entity in arrived["entities"]] == ["bold"]


async def test_a_long_report_follows_its_chart_and_the_files_follow_it(telegram: TelegramReceiving) -> None:
    content = message(LONG, LONG_HTML, chart=chart(), files=(table(),))
    receipt = await send(telegram, content)
    first, *texts, last = await telegram.arrived()
    assert ("photo" in first, "document" in last) == (True, True)
    assert words("".join(part["text"] for part in texts)) == words(LONG)
    assert receipt.progress["parts"] == telegram.channel.messages(content) == len(texts) + 2


async def test_a_caption_has_its_own_longest(telegram: TelegramReceiving) -> None:
    for length in (MAX_CAPTION, MAX_CAPTION + 1):
        await send(telegram, message("x" * length, f"<b>{'x' * length}</b>", chart=chart()))
    arrived = await telegram.arrived()
    assert [len(part["text"]) for part in arrived] == [MAX_CAPTION, 0, MAX_CAPTION + 1]


async def test_a_picture_that_is_none_costs_only_itself(telegram: TelegramReceiving) -> None:
    await send(telegram, message(chart=chart(b"not a picture"), files=(table(),)))
    text, document = await telegram.arrived()
    assert (text["text"], "photo" in text) == ("Spend & reach", False)
    assert document["document"]["file_name"] == "report-2026-11-05.csv"
