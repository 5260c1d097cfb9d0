"""Where Facebook is, and the app registered there."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class FacebookSettings(BaseSettings):
    """Base URLs, and the app by which accounts are connected and tokens renewed.

    Without the app's credentials no account can be connected by the dialog; tokens can still be pasted.
    """

    model_config = SettingsConfigDict(extra="ignore")

    facebook_base_url: str = Field("https://graph.facebook.com", description="Facebook Graph API")
    facebook_api_version: str = Field("v26.0", pattern=r"^v\d+\.\d+$", description="Graph API version")
    facebook_dialog_url: str = Field("https://www.facebook.com", description="Facebook's OAuth dialog")
    facebook_app_id: str | None = Field(None, description="App id of the Facebook app")
    facebook_app_secret: SecretStr | None = Field(None, description="App secret of the Facebook app")
