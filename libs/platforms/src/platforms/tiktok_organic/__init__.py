"""TikTok for creators: the organic API."""

from typing import Final

from common.models import ConnectionKind

PLATFORM: Final = "tiktok"
TIKTOK_ORGANIC: Final = ConnectionKind("tiktok_organic")
