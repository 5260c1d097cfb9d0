"""Where Zoom is, and the app registered there."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ZoomSettings(BaseSettings):
    """Base URLs, and the app by which accounts are connected and tokens renewed.

    Without the app's credentials no account can be connected by the dialog; tokens can still be pasted.
    """

    model_config = SettingsConfigDict(extra="ignore")

    zoom_base_url: str = Field("https://api.zoom.us/v2", description="Zoom API")
    zoom_oauth_url: str = Field("https://zoom.us/oauth", description="Zoom OAuth")
    zoom_dialog_url: str = Field("https://zoom.us/oauth", description="Zoom's OAuth dialog")
    zoom_client_id: str | None = Field(None, description="Client id of the Zoom app")
    zoom_client_secret: SecretStr | None = Field(None, description="Client secret of the Zoom app")
