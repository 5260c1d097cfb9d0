"""Webhooks, judged by the sink, by the reference library and over TLS."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from common.errors import ChannelError, Consequence
from common.http import create_client
from common.http.resolver import Address
from notifier.channels.base import OutcomeUnknown, Receipt
from notifier.channels.webhook import WebhookChannel
from tests.support.channels import SECRET, Sandbox, WebhookReceiving
from tests.support.sample_deliveries import TRACEPARENT, message

OTHER_SECRET = "whsec_" + base64.b64encode(b"another key of thirty-two bytes!").decode()


@pytest.fixture
def webhook(sandbox: Sandbox, outbound: httpx.AsyncClient) -> WebhookReceiving:
    """A hook of this test's own."""
    return WebhookReceiving(sandbox, outbound)


async def send(webhook: WebhookReceiving, **given: Any) -> Receipt:
    return await webhook.channel.send(webhook.parcel(**given), now=datetime.now(UTC))


async def refused(webhook: WebhookReceiving, **given: Any) -> ChannelError:
    with pytest.raises(ChannelError) as error:
        await send(webhook, **given)
    return error.value


async def test_the_signature_satisfies_the_sink_and_the_reference_library(webhook: WebhookReceiving) -> None:
    await webhook.sandbox.put(f"hooks/{webhook.hook}", secret=SECRET, reject_invalid=True)
    content = message("Größe: 10 € 😀\nsecond line", None)
    parcel = webhook.parcel(content)
    await webhook.channel.send(parcel, now=datetime.now(UTC))
    [arrived] = await webhook.arrived()
    assert arrived["signature"] == "valid"
    assert arrived["webhook_id"] == f"msg_{parcel.id.hex}"
    verified = Webhook(SECRET).verify(arrived["body"], arrived["headers"])
    assert verified["type"] == "report.completed"
    assert verified["data"]["text"] == content.text
    assert arrived["headers"]["user-agent"].startswith("Carillon")
    assert arrived["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


async def test_during_a_rotation_receivers_with_either_secret_are_satisfied(
    webhook: WebhookReceiving,
) -> None:
    for secret in (SECRET, OTHER_SECRET):
        await webhook.sandbox.put(f"hooks/{webhook.hook}", secret=secret, reject_invalid=True)
        await send(webhook, secret=f"{OTHER_SECRET} {SECRET}")
    assert [call["signature"] for call in await webhook.attempts()] == ["valid", "valid"]


async def test_a_wrong_secret_is_noticed_by_the_sink(webhook: WebhookReceiving) -> None:
    await webhook.sandbox.put(f"hooks/{webhook.hook}", secret=OTHER_SECRET, reject_invalid=True)
    error = await refused(webhook)
    assert (error.http_status, error.consequence) == (401, Consequence.TRANSIENT)
    assert await webhook.arrived() == []


async def test_a_timestamp_of_long_ago_is_noticed_by_the_sink(webhook: WebhookReceiving) -> None:
    await webhook.sandbox.put(f"hooks/{webhook.hook}", secret=SECRET, reject_invalid=True)
    with pytest.raises(ChannelError):
        await webhook.channel.send(webhook.parcel(), now=datetime.now(UTC) - timedelta(minutes=10))


async def test_a_second_delivery_of_the_same_parcel_is_recognised(webhook: WebhookReceiving) -> None:
    parcel = webhook.parcel()
    for _ in range(2):
        await webhook.channel.send(parcel, now=datetime.now(UTC))
    assert [call["duplicate"] for call in await webhook.attempts()] == [False, True]
    first, second = (call["body"] for call in await webhook.attempts())
    assert first == second


@pytest.mark.parametrize(
    ("status", "consequence"),
    [
        (400, Consequence.TRANSIENT),
        (404, Consequence.TRANSIENT),
        (410, Consequence.GONE),
        (422, Consequence.TRANSIENT),
        (500, Consequence.TRANSIENT),
        (503, Consequence.RATE),
        (504, Consequence.TRANSIENT),
    ],
)
async def test_what_a_status_means(webhook: WebhookReceiving, status: int, consequence: Consequence) -> None:
    await webhook.sandbox.put(f"hooks/{webhook.hook}", status=status, retry_after=45)
    error = await refused(webhook)
    assert (error.http_status, error.consequence) == (status, consequence)
    assert error.retry_after == (45.0 if consequence is Consequence.RATE else None)


@pytest.mark.parametrize("kind", ["truncated", "reset"])
async def test_a_status_that_arrived_counts_though_the_body_breaks_off(
    webhook: WebhookReceiving, sandbox: Sandbox, kind: str
) -> None:
    await sandbox.fault(kind=kind, stage="answer", match=webhook.match)
    try:
        receipt = await send(webhook)
    except OutcomeUnknown:
        # A reset may overtake the status on its way to us.
        assert kind == "reset"
    else:
        assert receipt.status_code == 200


@asynccontextmanager
async def tls_receiver(
    directory: Path, name: str
) -> AsyncIterator[tuple[int, ssl.SSLContext, list[str | None]]]:
    """A receiver with a certificate for `name`; its port, who trusts it, and the names it was called by."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    chain = directory / f"{name}.pem"
    chain.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + pem
    )
    called: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.sni_callback = lambda _socket, server_name, _context: called.append(server_name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    trust = ssl.create_default_context(cadata=pem.decode())
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], trust, called


async def loopback(host: str, port: int) -> Sequence[Address]:
    return [ip_address("127.0.0.1")]


async def test_tls_is_checked_against_the_name_though_the_connection_goes_to_an_address(
    webhook: WebhookReceiving, tmp_path: Path
) -> None:
    async with tls_receiver(tmp_path, "hooks.example.com") as (port, trust, called):
        hosts = {f"hooks.example.com:{port}", f"other.example.com:{port}"}
        async with create_client(
            allowed_hosts=hosts, receiver_hosts=hosts, ssl_context=trust, resolver=loopback
        ) as client:
            channel = WebhookChannel(client)
            right = webhook.parcel(config={"url": f"https://hooks.example.com:{port}/"})
            assert (await channel.send(right, now=datetime.now(UTC))).status_code == 204
            wrong = webhook.parcel(config={"url": f"https://other.example.com:{port}/"})
            with pytest.raises(ChannelError, match="CERTIFICATE_VERIFY_FAILED") as error:
                await channel.send(wrong, now=datetime.now(UTC))
    assert called == ["hooks.example.com", "other.example.com"]
    assert error.value.consequence is Consequence.TRANSIENT
    assert not isinstance(error.value, OutcomeUnknown)


async def test_a_certificate_nobody_vouches_for_is_refused(webhook: WebhookReceiving, tmp_path: Path) -> None:
    async with tls_receiver(tmp_path, "hooks.example.com") as (port, _trust, _called):
        hosts = {f"hooks.example.com:{port}"}
        async with create_client(allowed_hosts=hosts, receiver_hosts=hosts, resolver=loopback) as client:
            parcel = webhook.parcel(config={"url": f"https://hooks.example.com:{port}/"})
            with pytest.raises(ChannelError, match="CERTIFICATE_VERIFY_FAILED"):
                await WebhookChannel(client).send(parcel, now=datetime.now(UTC))


async def test_a_name_that_leads_to_this_machine_is_refused_after_its_lookup(
    webhook: WebhookReceiving,
) -> None:
    async with create_client(resolver=loopback) as client:
        parcel = webhook.parcel(config={"url": webhook.url.replace("127.0.0.1", "rebinding.example.com")})
        with pytest.raises(ChannelError, match="resolves to a loopback address") as error:
            await WebhookChannel(client).send(parcel, now=datetime.now(UTC))
    assert error.value.consequence is Consequence.INVALID
    assert await webhook.attempts() == []


async def test_only_a_tool_without_the_guard_reaches_this_machine(webhook: WebhookReceiving) -> None:
    async with create_client(guard=False) as client:
        await WebhookChannel(client).send(webhook.parcel(), now=datetime.now(UTC))
    assert len(await webhook.arrived()) == 1
