"""What every channel promises, checked against a receiver that misbehaves on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from carillon.ports import free_port
from common.errors import ChannelError, Consequence
from common.http import create_client
from common.http.resolver import Address
from common.retry import next_attempt
from notifier.channels import build_channels
from notifier.channels.base import Interrupted, OutcomeUnknown, Parcel, Receipt
from notifier.channels.exchange import post
from tests.support.channels import (
    PATIENCE,
    Receiving,
    Sandbox,
    TelegramReceiving,
    WebhookReceiving,
    notifier_settings,
)
from tests.support.sample_deliveries import chart, message, table
from tests.support.stack import Service


@pytest.fixture(params=[TelegramReceiving, WebhookReceiving], ids=["telegram", "webhook"])
def receiving(request: pytest.FixtureRequest, sandbox: Sandbox, outbound: httpx.AsyncClient) -> Receiving:
    """A destination of its own for every test, on every channel."""
    made: Receiving = request.param(sandbox, outbound)
    return made


async def send(receiving: Receiving, parcel: Parcel) -> Receipt:
    return await receiving.channel.send(parcel, now=datetime.now(UTC))


async def refused(receiving: Receiving, parcel: Parcel) -> ChannelError:
    with pytest.raises(ChannelError) as error:
        await send(receiving, parcel)
    return error.value


def test_every_destination_type_has_its_channel(outbound: httpx.AsyncClient) -> None:
    channels = build_channels(notifier_settings(), outbound)
    assert {name: channel.type for name, channel in channels.items()} == {
        "telegram": "telegram",
        "webhook": "webhook",
    }


async def test_a_delivery_arrives_once(receiving: Receiving) -> None:
    parcel = receiving.parcel()
    receipt = await send(receiving, parcel)
    assert receipt.status_code == 200
    assert receipt.config is None
    assert len(await receiving.arrived()) == 1


async def test_files_arrive_with_the_message(receiving: Receiving) -> None:
    tables = (table("report.csv"), table("Отчёт за неделю.csv", b"spend\r\n" * 1_000))
    receipt = await send(receiving, receiving.parcel(message(chart=chart(), files=tables)))
    assert receipt.status_code == 200
    assert await receiving.filed() == [
        ("report.csv", "text/csv", tables[0].size),
        ("Отчёт за неделю.csv", "text/csv", tables[1].size),
    ]


async def test_a_message_with_enclosures_is_not_repeated_by_its_retry(
    receiving: Receiving, sandbox: Sandbox
) -> None:
    parcel = receiving.parcel(message(chart=chart(), files=(table(),)))

    async def fail_the_next(_progress: Mapping[str, Any]) -> None:
        await sandbox.fault(kind="server_error", match=receiving.match)

    await sandbox.fault(kind="server_error", match=receiving.match)
    await refused(receiving, parcel)
    progress: Mapping[str, Any] = {}
    try:
        await send(receiving, replace(parcel, note=fail_the_next))
    except Interrupted as interrupted:
        progress = interrupted.progress
        await send(receiving, replace(parcel, progress=progress))
    assert len(await receiving.filed()) == 1
    assert len(await receiving.arrived()) == receiving.channel.messages(parcel.message)


async def test_a_slow_receiver_is_waited_for(receiving: Receiving, sandbox: Sandbox) -> None:
    await sandbox.fault(kind="slow", seconds=PATIENCE / 4, match=receiving.match)
    await send(receiving, receiving.parcel())
    assert len(await receiving.arrived()) == 1


@pytest.mark.parametrize(
    ("fault", "consequence", "retry_after"),
    [
        ({"kind": "rate_limit", "retry_after": 17}, Consequence.RATE, 17.0),
        ({"kind": "status", "status": 429}, Consequence.RATE, None),
        ({"kind": "status", "status": 429, "headers": {"retry-after": "3"}}, Consequence.RATE, 3.0),
        ({"kind": "server_error"}, None, None),
        ({"kind": "html", "status": 502}, Consequence.TRANSIENT, None),
        ({"kind": "html", "status": 500}, Consequence.TRANSIENT, None),
        (
            {"kind": "status", "status": 302, "headers": {"location": "/hooks/elsewhere"}},
            Consequence.TRANSIENT,
            None,
        ),
    ],
)
async def test_a_refusal_is_told_and_the_next_attempt_delivers_once(
    receiving: Receiving,
    sandbox: Sandbox,
    fault: dict[str, Any],
    consequence: Consequence | None,
    retry_after: float | None,
) -> None:
    await sandbox.fault(**fault, match=receiving.match)
    parcel = receiving.parcel()
    error = await refused(receiving, parcel)
    assert not isinstance(error, OutcomeUnknown)
    assert consequence is None or error.consequence is consequence
    assert error.retry_after == retry_after
    delay = next_attempt(receiving.channel.schedule, attempt=1, error=error, random=0.0)
    assert delay is not None
    assert delay >= timedelta(seconds=retry_after or 1)
    assert await receiving.arrived() == []
    await send(receiving, parcel)
    assert len(await receiving.arrived()) == 1
    assert await sandbox.received("webhook", hook="elsewhere") == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset", "stage": "request"},
        {"kind": "slow", "seconds": 3 * PATIENCE, "stage": "request"},
        {"kind": "slow", "seconds": 3 * PATIENCE, "stage": "answer"},
    ],
)
async def test_a_lost_answer_is_of_unknown_outcome(
    receiving: Receiving, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    await sandbox.fault(**fault, match=receiving.match)
    parcel = receiving.parcel()
    error = await refused(receiving, parcel)
    assert isinstance(error, OutcomeUnknown)
    assert error.consequence is Consequence.TRANSIENT
    assert not error.permanent
    assert "may have been delivered" in error.detail
    await send(receiving, parcel)


async def test_the_whole_exchange_has_a_deadline(receiving: Receiving, sandbox: Sandbox) -> None:
    await sandbox.fault(kind="slow", seconds=30, match=receiving.match)
    patient = httpx.Timeout(30)
    async with create_client(
        timeout=patient,
        allowed_hosts={sandbox.url.removeprefix("http://")},
        receiver_hosts={sandbox.url.removeprefix("http://")},
    ) as client:
        url = httpx.URL(f"{sandbox.url}/{receiving.path}")
        with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.3 s; it may have been delivered"):
            await post(client, url, content=b"{}", headers={}, timeout=0.3)


async def test_a_connection_that_is_never_made_delivered_nothing(receiving: Receiving) -> None:
    async def unanswered(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    async with create_client(timeout=httpx.Timeout(30), resolver=unanswered) as client:
        url = httpx.URL(f"https://example.com/{receiving.path}")
        with pytest.raises(ChannelError, match=r"no connection within 0\.1 s") as error:
            await post(client, url, content=b"{}", headers={}, timeout=0.1)
    assert not isinstance(error.value, OutcomeUnknown)


async def test_a_receiver_that_is_down_got_nothing(receiving: Receiving) -> None:
    port = free_port()
    async with create_client(
        allowed_hosts={f"127.0.0.1:{port}"}, receiver_hosts={f"127.0.0.1:{port}"}
    ) as client:
        channel, parcel = receiving.elsewhere(f"http://127.0.0.1:{port}", client)
        with pytest.raises(ChannelError) as error:
            await channel.send(parcel, now=datetime.now(UTC))
    assert not isinstance(error.value, OutcomeUnknown)
    assert error.value.consequence is Consequence.TRANSIENT


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "metadata.google.internal",
        "0.0.0.0",
        "user@127.0.0.1",
    ],
)
async def test_no_channel_reaches_inside(receiving: Receiving, sandbox_server: Service, host: str) -> None:
    async with create_client() as client:
        channel, parcel = receiving.elsewhere(f"http://{host}:{sandbox_server.port}/hooks/inside", client)
        with pytest.raises(ChannelError) as error:
            await channel.send(parcel, now=datetime.now(UTC))
    assert error.value.permanent
    assert error.value.consequence is Consequence.INVALID
    assert error.value.code == "blocked_address"
    assert await receiving.arrived() == []


async def test_the_secret_is_in_no_error(receiving: Receiving, sandbox: Sandbox) -> None:
    parcel = receiving.parcel()
    secret = (parcel.target.secret or "").removeprefix("whsec_").partition(":")[
        2
    ] or "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    faults: list[dict[str, Any]] = [
        {
            "kind": "html",
            "status": 500,
            "body": f"<p>{parcel.target.secret} at /bot{parcel.target.secret}/</p>",
        },
        {"kind": "reset"},
        {"kind": "expired_token"},
    ]
    for fault in faults:
        await sandbox.fault(**fault, match=receiving.match)
        with pytest.raises((ChannelError, Interrupted)) as error:
            await send(receiving, parcel)
        assert secret not in str(error.value)
    assert secret not in repr(parcel.target)
