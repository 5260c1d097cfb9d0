"""The channels there are: one file, one line here."""

from __future__ import annotations

import httpx

from notifier.channels.base import Channel
from notifier.channels.telegram import TelegramChannel
from notifier.channels.webhook import WebhookChannel
from notifier.settings import NotifierSettings


def build_channels(settings: NotifierSettings, client: httpx.AsyncClient) -> dict[str, Channel]:
    """Every channel by the destination type it serves."""
    channels: tuple[Channel, ...] = (
        TelegramChannel(client, settings),
        WebhookChannel(client),
    )
    return {channel.type: channel for channel in channels}
