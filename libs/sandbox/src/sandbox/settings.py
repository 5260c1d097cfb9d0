"""What can be chosen from outside, read from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self


class SettingsError(Exception):
    """An environment variable holds a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, named as its environment variable in lower case."""

    host: str = "127.0.0.1"
    port: int = 8090
    seed: int = 1
    keep_messages: int = 20_000
    """How many received messages are kept; all are counted."""

    ad_accounts: int = 4
    pages: int = 3
    facebook_app_id: str = ""
    """Empty: any client id is accepted."""
    facebook_app_secret: str = ""
    """Empty: any client secret is accepted and appsecret_proof is not checked."""
    facebook_require_proof: bool = False
    facebook_token_error_status: int = 400
    """Facebook answers code 190 with 400; some report 401."""
    facebook_app_calls_per_hour: int = 100_000
    facebook_account_calls_per_hour: int = 60_000
    facebook_sync_rows: int = 50_000
    """A synchronous insights query that has to look at more rows is answered 1/99."""
    facebook_report_seconds: float = 3.0
    """How long an asynchronous report takes, by the sandbox's clock."""

    tiktok_advertisers: int = 4
    tiktok_creators: int = 3
    tiktok_app_id: str = ""
    """The Business app; empty: any app id is accepted."""
    tiktok_app_secret: str = ""
    """Empty: any app secret is accepted."""
    tiktok_client_key: str = ""
    """The app of the organic API; empty: any client key is accepted."""
    tiktok_client_secret: str = ""
    """Empty: any client secret is accepted."""
    tiktok_organic_access_seconds: float = 7_200.0
    """TikTok used to give 86400, and a year for the refresh token."""
    tiktok_organic_refresh_seconds: float = 15_552_000.0
    tiktok_rotates_refresh_tokens: bool = True
    """Off: a refresh token is for keeps, as it used to be."""
    tiktok_oauth_error_status: int = 400
    """The HTTP status of a refused token request; 200 and 401 have been seen too."""
    tiktok_report_seconds: float = 3.0
    """How long a report task takes, by the sandbox's clock."""
    tiktok_app_per_second: int = 50
    """Of the Business API; like the next two those of its highest tier. 0 switches a limit off."""
    tiktok_app_per_minute: int = 3_000
    tiktok_app_per_day: int = 4_320_000
    tiktok_advertiser_per_second: int = 0
    """For each advertiser and path; TikTok does not publish a figure."""
    tiktok_report_tasks_per_second: int = 2
    tiktok_report_tasks_per_minute: int = 60
    tiktok_report_tasks_per_day: int = 4_500
    tiktok_organic_per_minute: int = 600
    """For each path of the organic API."""

    zoom_users: int = 5
    zoom_account_id: str = "wTJw8LgeT8GlOSjLjOU9Hw"
    zoom_client_id: str = ""
    """Empty: any client id and secret are accepted."""
    zoom_client_secret: str = ""
    zoom_s2s_client_id: str = ""
    """Of the server-to-server app; empty: any client id and secret are accepted."""
    zoom_s2s_client_secret: str = ""
    zoom_access_seconds: float = 3_599.0
    zoom_refresh_seconds: float = 7_776_000.0
    zoom_file_bytes: int = 65_536
    """Mean size of a film; other files follow from it. Files are made as they are read."""
    zoom_clamp: bool = True
    """A list of recordings of more than a month silently begins a month before its end."""
    zoom_rate_headers: bool = True
    zoom_light_per_second: float = 80.0
    zoom_light_per_day: float = 0.0
    zoom_medium_per_second: float = 60.0
    zoom_medium_per_day: float = 0.0

    transcription_max_bytes: int = 26_214_400
    """A larger file is refused with 413."""

    telegram_chat_per_second: float = 0.0
    """Flood limit per chat; 0 switches it off."""
    telegram_chat_per_minute: float = 0.0
    telegram_bot_per_second: float = 0.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings, or raise `SettingsError` naming the variable that is wrong."""
        chosen: dict[str, object] = {}
        for field in fields(cls):
            raw = environment.get(field.name.upper())
            if raw is None or not raw.strip():
                continue
            chosen[field.name] = _parse(field.name.upper(), raw.strip(), type(field.default))
        return cls(**chosen)  # type: ignore[arg-type]  # _parse followed each field's own type


def _parse(name: str, raw: str, kind: type[object]) -> object:
    if kind is bool:
        if raw.lower() in {"1", "true", "yes", "on"}:
            return True
        if raw.lower() in {"0", "false", "no", "off"}:
            return False
        raise SettingsError(f"{name} must be true or false, not {raw!r}")
    if kind is str:
        return raw
    try:
        number = int(raw) if kind is int else float(raw)
    except ValueError:
        raise SettingsError(f"{name} must be a number, not {raw!r}") from None
    if number < 0:
        raise SettingsError(f"{name} must not be negative")
    return number
