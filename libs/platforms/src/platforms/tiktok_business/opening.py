"""A connection's advertisers, for one run."""

from __future__ import annotations

from platforms.advertising.access import Access
from platforms.advertising.metrics import AdsClient
from platforms.platform import settings_of
from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.advertisers import App
from platforms.tiktok_business.client import Business
from platforms.tiktok_business.settings import TikTokBusinessSettings


def business(access: Access) -> Business:
    """The Business API by one connection."""
    settings = settings_of(access.settings, TikTokBusinessSettings)
    app = _app(settings)
    return Business(
        access.http,
        settings.tiktok_base_url,
        access.credential,
        limiter=access.limiter,
        scope=access.scope,
        connection_id=access.connection_id,
        secrets=() if app is None else (app.secret,),
    )


async def ads(access: Access) -> AdsClient:
    """A connection's advertising: that of the advertisers found when it was connected, if any were."""
    recorded = {
        str(found["id"]): str(found.get("name") or "")
        for found in access.accounts
        if found.get("type") == "advertiser" and found.get("id")
    }
    app = _app(settings_of(access.settings, TikTokBusinessSettings))
    return TikTokAds(business(access), recorded=recorded, app=app)


def _app(settings: TikTokBusinessSettings) -> App | None:
    if settings.tiktok_app_id is None or settings.tiktok_app_secret is None:
        return None
    return App(settings.tiktok_app_id, settings.tiktok_app_secret.get_secret_value())
