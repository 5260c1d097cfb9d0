"""TikTok for advertisers: the Business (Marketing) API."""

PLATFORM = "tiktok"
