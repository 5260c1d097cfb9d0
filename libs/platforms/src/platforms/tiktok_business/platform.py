"""TikTok's advertising in the registry."""

from __future__ import annotations

from platforms.advertising.access import Advertising
from platforms.platform import ACCESS_TOKEN_FIELD, Kind, Platform, Renewal
from platforms.tiktok_business import PLATFORM
from platforms.tiktok_business.ads import TikTokAds
from platforms.tiktok_business.oauth import TikTokBusiness
from platforms.tiktok_business.opening import ads
from platforms.tiktok_business.settings import TikTokBusinessSettings

TIKTOK_BUSINESS = Platform(
    PLATFORM,
    "TikTok",
    TikTokBusinessSettings,
    (
        Kind(
            TikTokBusiness,
            "an advertiser token without expiry",
            pasted=(ACCESS_TOKEN_FIELD,),
            renewal=Renewal.NOTHING,
            ads=Advertising(TikTokAds.metrics, ads),
        ),
    ),
)
