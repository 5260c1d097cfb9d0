"""A report on both platforms as the sandbox has them, from its collection to the chat it arrives in."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import httpx
import pytest
from PIL import Image

from common.automation_config.scheduled_report import ScheduledReportConfig
from common.secrets.crypto import new_encryption_key
from executor.handlers.base import Account, Outcome
from executor.handlers.scheduled_report import ScheduledReport
from executor.settings import ExecutorSettings
from notifier.channels.telegram_markup import units
from platforms.facebook import FACEBOOK_USER
from platforms.tiktok_business import TIKTOK_BUSINESS
from platforms.tiktok_organic import TIKTOK_ORGANIC
from tests.support.channels import Sandbox, TelegramReceiving, WebhookReceiving, unique
from tests.support.run_contexts import account, run_context
from tests.support.stack import Service

EVERYTHING = {
    "period": "weekly",
    "metric_types": ["ad_account", "campaigns", "pages", "profile", "videos"],
    "attachments": ["csv"],
}


@pytest.fixture
def report(sandbox_server: Service) -> ScheduledReport:
    return ScheduledReport(
        ExecutorSettings(
            database_url="postgresql://nobody@localhost/none",
            kafka_bootstrap_servers="localhost:1",
            encryption_keys=new_encryption_key("test"),
            facebook_base_url=sandbox_server.url,
            tiktok_base_url=sandbox_server.url,
            tiktok_open_base_url=sandbox_server.url,
            tiktok_app_id="app",
            tiktok_app_secret="secret",
        )
    )


@pytest.fixture
def accounts() -> list[Account]:
    return [
        account(FACEBOOK_USER, f"sandbox-fb-{unique()}", name="Facebook"),
        account(TIKTOK_BUSINESS, f"sandbox-tt-{unique()}", name="TikTok Ads"),
        account(TIKTOK_ORGANIC, f"act.sandbox-{unique()}", name="Creator"),
    ]


async def made(
    report: ScheduledReport, http: httpx.AsyncClient, connected: list[Account], **given: object
) -> Outcome:
    context = run_context(http, *connected, slot=datetime.now(UTC), platforms=("facebook", "tiktok"))
    return await report.run(context, ScheduledReportConfig.model_validate(EVERYTHING | given))


async def test_everything_of_both_platforms_is_in_one_message(
    report: ScheduledReport, outbound: httpx.AsyncClient, accounts: list[Account]
) -> None:
    outcome = await made(report, outbound, accounts)
    kept, (message,) = outcome.result, outcome.messages
    assert {each["platform"] for each in kept["ad_accounts"]} == {"facebook", "tiktok"}
    assert {each["platform"] for each in kept["campaigns"]} == {"facebook", "tiktok"}
    assert kept["pages"]
    assert kept["profiles"]
    assert kept["videos"]
    assert (kept["partial"], list(outcome.faults)) == (False, [])
    assert units(message.text) <= 4_096
    for heading in ("Top campaigns", "Pages", "TikTok profiles", "TikTok videos"):
        assert heading in message.text
    assert "Source: Facebook, TikTok" in message.text


async def test_the_table_adds_up_to_the_report(
    report: ScheduledReport, outbound: httpx.AsyncClient, accounts: list[Account]
) -> None:
    outcome = await made(report, outbound, accounts)
    (file,) = outcome.messages[0].files
    rows = list(csv.DictReader(io.StringIO(file.data.decode("utf-8-sig"), newline="")))
    for told in outcome.result["ad_accounts"]:
        own = [row for row in rows if (row["level"], row["account_id"]) == ("account", told["id"])]
        assert len(own) == 7
        assert sum(float(row["spend"]) for row in own) == pytest.approx(float(told["current"]["spend"]))
    assert {row["level"] for row in rows} == {"account", "campaign", "page", "profile", "video"}


async def test_it_arrives_with_its_chart_and_its_table(
    report: ScheduledReport, outbound: httpx.AsyncClient, sandbox: Sandbox, accounts: list[Account]
) -> None:
    message = (await made(report, outbound, accounts)).messages[0]
    chat, hook = TelegramReceiving(sandbox, outbound), WebhookReceiving(sandbox, outbound)
    await chat.channel.send(chat.parcel(message), now=datetime.now(UTC))
    await hook.channel.send(hook.parcel(message), now=datetime.now(UTC))
    pictures = [record["photo"][-1] for record in await chat.arrived() if "photo" in record]
    assert message.chart is not None
    size = Image.open(io.BytesIO(message.chart.data)).size
    assert [(each["width"], each["height"]) for each in pictures] == [size]
    (table,) = message.files
    assert await chat.filed() == await hook.filed() == [(table.filename, "text/csv", table.size)]


async def test_a_short_report_is_the_caption_of_its_chart(
    report: ScheduledReport, outbound: httpx.AsyncClient, sandbox: Sandbox, accounts: list[Account]
) -> None:
    short = {"metric_types": ["ad_account"], "accounts": ["act_402210009451117"], "attachments": []}
    message = (await made(report, outbound, accounts[:1], **short)).messages[0]
    chat = TelegramReceiving(sandbox, outbound)
    await chat.channel.send(chat.parcel(message), now=datetime.now(UTC))
    [arrived] = await chat.arrived()
    assert "photo" in arrived
    assert "Spend" in arrived["text"]
