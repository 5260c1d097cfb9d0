"""Wires the sandbox together and serves it."""

import os
import socket
import sys
from pathlib import Path

import uvicorn

from sandbox.clock import Clock
from sandbox.control import Control, build_control
from sandbox.facebook.graph import Facebook
from sandbox.faults import Faults
from sandbox.inbox import Inbox
from sandbox.limits import Limits
from sandbox.platform import Platform
from sandbox.server import Sandbox
from sandbox.settings import Settings, SettingsError
from sandbox.stats import Stats
from sandbox.telegram.bot_api import Telegram
from sandbox.tiktok_business.business_api import TikTokBusiness
from sandbox.tiktok_organic.consents import CreatorConsents
from sandbox.tiktok_organic.open_api import TikTokOrganic
from sandbox.transcription import Transcription
from sandbox.webhooks import Webhooks
from sandbox.wire import WireProtocol
from sandbox.world.deletions import Deletions
from sandbox.world.population import World
from sandbox.world.tiktok_creators import Creators
from sandbox.zoom.api import Zoom
from sandbox.zoom.control import ZoomControl

_KEEP_ALIVE = 75
"""Seconds; as long as the real services hold an idle connection."""
_PAGE = Path(__file__).parent / "pages" / "index.html"


def build_app(settings: Settings, clock: Clock | None = None) -> Sandbox:
    """The whole sandbox as an ASGI application."""
    clock = clock or Clock()
    inbox = Inbox(clock, settings.keep_messages)
    stats = Stats()
    faults = Faults()
    webhooks = Webhooks(clock, inbox)
    limits = Limits.of(settings)
    telegram = Telegram(limits, clock, inbox)
    deletions = Deletions()
    world = World(settings.seed, settings.ad_accounts, settings.pages, deletions)
    creators = Creators(settings.seed, settings.tiktok_creators)
    consents = CreatorConsents(settings, clock, creators)
    business = TikTokBusiness(settings, limits, clock, inbox, world.person_name, deletions)
    organic = TikTokOrganic(settings, limits, clock, creators, consents, inbox)
    zoom = Zoom(settings, limits, clock, inbox)
    platforms: list[Platform] = [
        webhooks,
        telegram,
        zoom,
        Transcription(settings, inbox),
        business,
        organic,
        Facebook(settings, limits, clock, world, inbox),
    ]

    def reset() -> None:
        for platform in platforms:
            platform.reset()
        limits.reset(settings)
        deletions.reset()
        faults.clear()
        inbox.reset()
        stats.reset()
        clock.reset()

    control = Control(
        clock,
        inbox,
        stats,
        faults,
        webhooks,
        telegram.chats,
        limits,
        deletions,
        [organic.grants, zoom.tokens.grants],
        reset,
    )
    zoom_routes = ZoomControl(settings, clock, inbox, zoom).routes()
    control_app = build_control(control, _PAGE.read_text("utf-8"), zoom_routes)
    return Sandbox(platforms, control_app, faults, inbox, stats)


class SandboxServer(uvicorn.Server):
    """Lets go of long polls as soon as it is told to stop, instead of waiting for them."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        app = build_app(settings, clock)
        self._app = app
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=WireProtocol,
                ws="none",
                access_log=False,
                log_level="info",
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=2,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.close()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        sys.exit(f"sandbox: {error}")
    SandboxServer(settings).run()
