"""TikTok for advertisers: the Business (Marketing) API."""

from typing import Final

from common.models import ConnectionKind

PLATFORM: Final = "tiktok"
TIKTOK_BUSINESS: Final = ConnectionKind("tiktok_business")
