"""The channels at work against the sandbox, each behind the same few verbs."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Mapping
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

from common.messages import Message
from common.secrets.crypto import new_encryption_key
from notifier.channels.base import Channel, Parcel
from notifier.channels.telegram import TelegramChannel
from notifier.channels.webhook import WebhookChannel
from notifier.settings import NotifierSettings
from tests.support.sample_deliveries import parcel

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE = 1.0
"""Seconds the tests' client waits for an answer."""
_numbers = itertools.count(1)


def unique() -> int:
    """A number no other test of this session, in whatever process, uses."""
    return os.getpid() * 100_000 + next(_numbers)


def notifier_settings(**overrides: Any) -> NotifierSettings:
    """The notifier's settings, where a test needs no database and no broker."""
    return NotifierSettings(
        database_url=SecretStr("postgresql://localhost/none"),
        kafka_bootstrap_servers="localhost:9092",
        encryption_keys=SecretStr(new_encryption_key("test")),
        **overrides,
    )


class Sandbox:
    """The sandbox's control API."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self._http = http

    async def fault(self, **description: Any) -> None:
        """Switch a fault on, for one call unless `times` says otherwise."""
        answer = await self._http.post(f"{self.url}/_sandbox/faults", json={"times": 1, **description})
        answer.raise_for_status()

    async def put(self, path: str, **body: Any) -> None:
        """Change how something behaves."""
        (await self._http.put(f"{self.url}/_sandbox/{path}", json=body)).raise_for_status()

    async def received(self, kind: str, **wanted: str) -> list[dict[str, Any]]:
        """The records of one kind, oldest first, whose members are as `wanted`."""
        params = {"kind": kind, "limit": "5000"}
        if "hook" in wanted:
            params["hook"] = wanted["hook"]
        answer = await self._http.get(f"{self.url}/_sandbox/received", params=params)
        answer.raise_for_status()
        records: list[dict[str, Any]] = answer.json()["messages"]
        matching = [
            record
            for record in records
            if all(str(record.get(name)) == text for name, text in wanted.items())
        ]
        return sorted(matching, key=lambda record: int(record["seq"]))


class Receiving(Protocol):
    """A channel and a destination of this test's own at the sandbox."""

    channel: Channel
    match: Mapping[str, str]
    path: str

    def parcel(self, content: Message | None = None, **given: Any) -> Parcel:
        """A delivery to the destination."""
        ...

    async def arrived(self) -> list[dict[str, Any]]:
        """What the destination took."""
        ...

    async def filed(self) -> list[tuple[str, str, int]]:
        """Name, media type and size of the files the destination took, in the order of their arrival."""
        ...

    def elsewhere(self, url: str, http: httpx.AsyncClient) -> tuple[Channel, Parcel]:
        """The channel and a delivery whose receiver is at `url`."""
        ...


class TelegramReceiving:
    """A bot and a supergroup."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        number = unique()
        self.token = f"{number}:{'t' * 35}"
        self.chat_id = -1_002_000_000_000 - number
        self.match = {"token": self.token}
        self.path = f"bot{self.token}/sendMessage"
        self.channel: Channel = TelegramChannel(http, notifier_settings(telegram_base_url=sandbox.url))

    def parcel(self, content: Message | None = None, **given: Any) -> Parcel:
        """A delivery to the chat, or to the one `config` names."""
        config = given.pop("config", {"chat_id": self.chat_id})
        return parcel(config, secret=given.pop("secret", self.token), content=content, **given)

    async def arrived(self) -> list[dict[str, Any]]:
        """The messages in the bot's chats."""
        return await self.sandbox.received("telegram", bot_id=self.token.partition(":")[0])

    async def filed(self) -> list[tuple[str, str, int]]:
        """The documents in the bot's chats."""
        documents = [record["document"] for record in await self.arrived() if "document" in record]
        return [(each["file_name"], each["mime_type"], each["file_size"]) for each in documents]

    def elsewhere(self, url: str, http: httpx.AsyncClient) -> tuple[Channel, Parcel]:
        """A Bot API at another address."""
        return TelegramChannel(http, notifier_settings(telegram_base_url=url)), self.parcel()


class WebhookReceiving:
    """A hook of the sink."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.hook = f"channel-{unique()}"
        self.match = {"hook": self.hook}
        self.path = f"hooks/{self.hook}"
        self.url = f"{sandbox.url}/{self.path}"
        self.channel: Channel = WebhookChannel(http)

    def parcel(self, content: Message | None = None, **given: Any) -> Parcel:
        """A delivery to the hook, or to the one `config` names."""
        config = given.pop("config", {"url": self.url})
        return parcel(config, secret=given.pop("secret", SECRET), content=content, **given)

    async def attempts(self) -> list[dict[str, Any]]:
        """Every call of the hook, also those it refused."""
        return await self.sandbox.received("webhook", hook=self.hook)

    async def arrived(self) -> list[dict[str, Any]]:
        """The calls the hook accepted."""
        return [record for record in await self.attempts() if 200 <= int(record["status"]) < 300]

    async def filed(self) -> list[tuple[str, str, int]]:
        """The attachments in the payloads, their size as decoded."""
        return [
            (each["filename"], each["media_type"], len(base64.b64decode(each["content"])))
            for record in await self.arrived()
            for each in record["json"]["data"].get("attachments", ())
        ]

    def elsewhere(self, url: str, http: httpx.AsyncClient) -> tuple[Channel, Parcel]:
        """A webhook at another address."""
        return WebhookChannel(http), self.parcel(config={"url": url})
