"""Rate limits that can be changed while the sandbox runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from sandbox.settings import Settings


class InvalidLimit(Exception):
    """A limit that does not exist or cannot have that value; ``name`` says which."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name} {detail}")
        self.name = name
        self.detail = detail


@dataclass(slots=True)
class Limits:
    """0 means no limit."""

    facebook_app_calls_per_hour: float
    facebook_account_calls_per_hour: float
    tiktok_app_per_second: float
    tiktok_app_per_minute: float
    tiktok_app_per_day: float
    tiktok_advertiser_per_second: float
    tiktok_report_tasks_per_second: float
    tiktok_report_tasks_per_minute: float
    tiktok_report_tasks_per_day: float
    tiktok_organic_per_minute: float
    zoom_light_per_second: float
    zoom_light_per_day: float
    zoom_medium_per_second: float
    zoom_medium_per_day: float
    telegram_chat_per_second: float
    telegram_chat_per_minute: float
    telegram_bot_per_second: float

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits the sandbox starts with."""
        return cls(*(float(getattr(settings, field.name)) for field in fields(cls)))

    def change(self, wanted: Mapping[str, object]) -> None:
        """Take over what is named in ``wanted``, all or nothing; raises `InvalidLimit`."""
        known = asdict(self)
        for name, value in wanted.items():
            if name not in known:
                raise InvalidLimit(name, "is not known")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
                raise InvalidLimit(name, "must be a number of at least 0")
        for name, value in wanted.items():
            setattr(self, name, value)

    def reset(self, settings: Settings) -> None:
        """Back to what the sandbox started with."""
        self.change(asdict(Limits.of(settings)))
