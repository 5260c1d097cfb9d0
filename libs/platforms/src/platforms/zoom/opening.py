"""A connection's Zoom account, for one run."""

from __future__ import annotations

from platforms.advertising.access import Access
from platforms.platform import settings_of
from platforms.zoom.api import ZoomApi
from platforms.zoom.client import ZoomClient
from platforms.zoom.settings import ZoomSettings


def client(access: Access) -> ZoomClient:
    """Zoom by one connection."""
    # Zoom counts the calls of all apps of an account together; where the account's own id is not known,
    # those of one connection are.
    account = access.account_settings.get("account_id") or access.connection_id
    return ZoomClient(
        ZoomApi(
            access.http,
            settings_of(access.settings, ZoomSettings).zoom_base_url,
            access.credential,
            limiter=access.limiter,
            account=f"{access.scope}/{account}",
            connection_id=access.connection_id,
        )
    )
