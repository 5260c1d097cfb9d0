"""TikTok for creators: the organic API."""

PLATFORM = "tiktok"
