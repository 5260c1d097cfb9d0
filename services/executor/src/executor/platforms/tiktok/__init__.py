"""TikTok: the Business API of advertisers, and the organic API of creators."""

from executor.platforms.tiktok.ads import TikTokAds
from executor.platforms.tiktok.advertisers import App
from executor.platforms.tiktok.api import PLATFORM
from executor.platforms.tiktok.business import Business
from executor.platforms.tiktok.organic import Organic, Profile, Video

__all__ = ["PLATFORM", "App", "Business", "Organic", "Profile", "TikTokAds", "Video"]
