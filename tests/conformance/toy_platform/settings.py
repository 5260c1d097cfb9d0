"""Where Toy is."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ToySettings(BaseSettings):
    """Its base URL."""

    model_config = SettingsConfigDict(extra="ignore")

    toy_base_url: str = Field("https://api.toy.example", description="Toy's API")
