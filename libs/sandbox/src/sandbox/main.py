"""Wires the sandbox together and serves it."""

import os
import sys
from pathlib import Path

import uvicorn

from sandbox.clock import Clock
from sandbox.control import Control, build_control
from sandbox.facebook.graph import Facebook
from sandbox.faults import Faults
from sandbox.inbox import Inbox
from sandbox.platform import Platform
from sandbox.server import Sandbox
from sandbox.settings import Settings, SettingsError
from sandbox.stats import Stats
from sandbox.telegram.bot_api import Telegram
from sandbox.webhooks import Webhooks
from sandbox.wire import WireProtocol
from sandbox.world.population import World

_PAGE = Path(__file__).parent / "pages" / "index.html"


def build_app(settings: Settings, clock: Clock | None = None) -> Sandbox:
    """The whole sandbox as an ASGI application."""
    clock = clock or Clock()
    inbox = Inbox(clock, settings.keep_messages)
    stats = Stats()
    faults = Faults()
    webhooks = Webhooks(clock, inbox)
    telegram = Telegram(settings, clock, inbox)
    world = World(settings.seed, settings.ad_accounts, settings.pages)
    platforms: list[Platform] = [webhooks, telegram, Facebook(settings, clock, world, inbox)]

    def reset() -> None:
        for platform in platforms:
            platform.reset()
        faults.clear()
        inbox.reset()
        stats.reset()
        clock.reset()

    control = Control(clock, inbox, stats, faults, webhooks, telegram.chats, reset)
    return Sandbox(platforms, build_control(control, _PAGE.read_text("utf-8")), faults, inbox, stats)


def server_config(settings: Settings, clock: Clock | None = None) -> uvicorn.Config:
    """How the sandbox is served: without an access log, and able to break connections off."""
    return uvicorn.Config(
        build_app(settings, clock),
        host=settings.host,
        port=settings.port,
        http=WireProtocol,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.exit(f"sandbox: {error}")
    uvicorn.Server(server_config(settings)).run()
