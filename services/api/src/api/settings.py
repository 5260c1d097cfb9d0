"""Settings of the API."""

from pydantic import Field, SecretStr

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
    session_hours: float = Field(
        12.0, gt=0, le=168, description="Hours after which the console asks to sign in again"
    )
    live_queue_size: int = Field(
        256, ge=1, le=10_000, description="Events a slow reader of the live feed may fall behind"
    )
