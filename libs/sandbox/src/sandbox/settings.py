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
