"""A connection's Graph API, for one run."""

from __future__ import annotations

from platforms.advertising.access import Access
from platforms.advertising.metrics import AdsClient
from platforms.facebook.ads import FacebookAds
from platforms.facebook.graph import Graph
from platforms.facebook.settings import FacebookSettings
from platforms.facebook.wire import Endpoint
from platforms.platform import settings_of


async def graph(access: Access) -> Graph:
    """The Graph API by one connection; raises PlatformError when its token cannot be had."""
    settings = settings_of(access.settings, FacebookSettings)
    return Graph(
        access.http,
        Endpoint(
            settings.facebook_base_url,
            settings.facebook_api_version,
            settings.facebook_app_secret.get_secret_value() if settings.facebook_app_secret else "",
        ),
        await access.credential.current(),
        limiter=access.limiter,
        scope=access.scope,
        connection_id=access.connection_id,
        # If it was the batch that did not get through, its calls may, one by one.
        batched=access.first_attempt,
    )


async def ads(access: Access) -> AdsClient:
    """A connection's advertising; raises PlatformError when its token cannot be had."""
    return FacebookAds(await graph(access))
