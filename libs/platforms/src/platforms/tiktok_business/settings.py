"""Where TikTok's Business API is, and the app registered there."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class TikTokBusinessSettings(BaseSettings):
    """Base URLs, and the app by which accounts are connected and tokens renewed.

    Without the app's credentials no account can be connected by the dialog; tokens can still be pasted.
    """

    model_config = SettingsConfigDict(extra="ignore")

    tiktok_base_url: str = Field("https://business-api.tiktok.com", description="TikTok Business API")
    tiktok_portal_url: str = Field(
        "https://business-api.tiktok.com", description="TikTok's OAuth dialog (Business)"
    )
    tiktok_app_id: str | None = Field(None, description="App id of the TikTok Business app")
    tiktok_app_secret: SecretStr | None = Field(None, description="Secret of the TikTok Business app")
