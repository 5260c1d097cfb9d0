"""TikTok's Business (Marketing) API v1.3 with its sign-in portal."""
