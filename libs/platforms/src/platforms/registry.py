"""Connecting accounts and renewing their tokens: one file a kind of connection, one line in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from common.models import ConnectionKind
from common.settings import AppSettings, OutboundSettings
from platforms.facebook.oauth import FacebookUser
from platforms.oauth.base import Grant, Need
from platforms.tiktok_business.oauth import TikTokBusiness
from platforms.tiktok_organic.oauth import TikTokOrganic
from platforms.zoom.oauth import ZoomServer, ZoomUser


def grants(
    http: httpx.AsyncClient, outbound: OutboundSettings, app: AppSettings
) -> Mapping[ConnectionKind, Grant]:
    """Every kind of connection that has tokens. Stores, which only have credentials, are not among them."""
    known: tuple[Grant, ...] = (
        FacebookUser(http, outbound, app),
        TikTokBusiness(http, outbound, app),
        TikTokOrganic(http, outbound, app),
        ZoomUser(http, outbound, app),
        ZoomServer(http, outbound),
    )
    return {grant.kind: grant for grant in known}


NEEDS: Final[Mapping[ConnectionKind, tuple[Need, ...]]] = {
    grant.kind: grant.needs for grant in (FacebookUser, TikTokBusiness, TikTokOrganic, ZoomUser, ZoomServer)
}
"""What each kind must be allowed for everything Carillon does with it."""
