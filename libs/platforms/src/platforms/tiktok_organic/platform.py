"""TikTok's creators in the registry."""

from __future__ import annotations

from datetime import timedelta

from platforms.platform import ACCESS_TOKEN_FIELD, REFRESH_TOKEN_FIELD, Kind, Platform, Renewal
from platforms.tiktok_organic import PLATFORM
from platforms.tiktok_organic.oauth import TikTokOrganic
from platforms.tiktok_organic.settings import TikTokOrganicSettings

TIKTOK_ORGANIC = Platform(
    PLATFORM,
    "TikTok",
    TikTokOrganicSettings,
    (
        Kind(
            TikTokOrganic,
            "a short-lived token with a rotating refresh token",
            pasted=(ACCESS_TOKEN_FIELD, REFRESH_TOKEN_FIELD),
            renewal=Renewal.REFRESH_TOKEN,
            margin=timedelta(minutes=5),
        ),
    ),
)
