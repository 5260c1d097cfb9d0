"""Settings of the API."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from common.settings import (
    FileStoreSettings,
    KafkaSettings,
    OutboundSettings,
    SecretSettings,
    ServiceSettings,
)
from platforms.registry import PlatformSettings


class ApiSettings(
    ServiceSettings, KafkaSettings, SecretSettings, OutboundSettings, PlatformSettings, FileStoreSettings
):
    """The public API and the console."""

    demo_api_key: SecretStr | None = Field(
        None, description="API key behind the console's `Open the demo` button; leave unset outside of demos"
    )
    public_url: str = Field(
        "http://localhost:8000",
        pattern="^https?://",
        description="Where people open the console; platforms send them back there after they agreed",
    )
    allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="`host,…`: names under which the API is called besides that of `PUBLIC_URL` and this "
        "machine's own, such as `api` within a cluster; requests for other hosts are refused",
    )
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="`address,…` or networks of the proxies whose `X-Forwarded-For` and `-Proto` headers are "
        "believed; `*` for all",
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port for the API's `/metrics`; without it they are not served"
    )
    session_hours: float = Field(
        12.0, gt=0, le=168, description="Hours after which the console asks to sign in again"
    )
    requests_per_key: int = Field(
        30_000,
        ge=1,
        description="Requests of a key or a session in a minute; more are answered with 429",
    )
    requests_per_address: int = Field(
        60_000, ge=1, description="Requests from an address in a minute, likewise"
    )
    requests_without_key: int = Field(
        600, ge=1, description="Requests from an address in a minute without a key or a session, likewise"
    )
    wrong_keys_per_address: int = Field(
        20, ge=1, description="Keys that are not valid an address may try in a minute"
    )
    live_queue_size: int = Field(
        256, ge=1, le=10_000, description="Events a slow reader of the live feed may fall behind"
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @property
    def is_public_https(self) -> bool:
        """Whether people reach the console by https, wherever TLS ends."""
        return self.public_url.lower().startswith("https://")
