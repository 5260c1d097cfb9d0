"""The platform clients the conformance suite drives: one file, and one line here, for each."""

from tests.support.platforms.base import Driving
from tests.support.platforms.facebook import FacebookDriving
from tests.support.platforms.tiktok_business import TikTokBusinessDriving
from tests.support.platforms.tiktok_organic import TikTokOrganicDriving
from tests.support.platforms.zoom import ZoomDriving

DRIVINGS: tuple[type[Driving], ...] = (
    FacebookDriving,
    TikTokBusinessDriving,
    TikTokOrganicDriving,
    ZoomDriving,
)
