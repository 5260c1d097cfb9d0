"""Where TikTok's organic API is, and the app registered there."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class TikTokOrganicSettings(BaseSettings):
    """Base URLs, and the app by which accounts are connected and tokens renewed.

    Without the app's credentials no account can be connected by the dialog; tokens can still be pasted.
    """

    model_config = SettingsConfigDict(extra="ignore")

    tiktok_open_base_url: str = Field("https://open.tiktokapis.com", description="TikTok organic API")
    tiktok_dialog_url: str = Field("https://www.tiktok.com", description="TikTok's OAuth dialog (organic)")
    tiktok_client_key: str | None = Field(None, description="Client key of the TikTok (organic) app")
    tiktok_client_secret: SecretStr | None = Field(None, description="Secret of the TikTok (organic) app")
