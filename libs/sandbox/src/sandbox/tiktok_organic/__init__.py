"""TikTok's API for creators, open.tiktokapis.com v2, with its sign-in page."""
