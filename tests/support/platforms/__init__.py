"""The platform clients the conformance suite drives: one file, and one line here, for each."""

from tests.support.platforms.base import PlatformDriver
from tests.support.platforms.facebook import FacebookDriver
from tests.support.platforms.tiktok_business import TikTokBusinessDriver
from tests.support.platforms.tiktok_organic import TikTokOrganicDriver
from tests.support.platforms.zoom import ZoomDriver

DRIVINGS: tuple[type[PlatformDriver], ...] = (
    FacebookDriver,
    TikTokBusinessDriver,
    TikTokOrganicDriver,
    ZoomDriver,
)
