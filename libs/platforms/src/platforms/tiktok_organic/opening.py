"""A creator's connection, for one run."""

from __future__ import annotations

from platforms.advertising.access import Access
from platforms.platform import settings_of
from platforms.tiktok_organic.client import Organic
from platforms.tiktok_organic.settings import TikTokOrganicSettings


def creator(access: Access) -> Organic:
    """The organic API by one connection."""
    return Organic(
        access.http,
        settings_of(access.settings, TikTokOrganicSettings).tiktok_open_base_url,
        access.credential,
        limiter=access.limiter,
        scope=access.scope,
        connection_id=access.connection_id,
    )
