"""What Zoom does in one way today and another tomorrow, or what is not documented: it can be chosen."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from sandbox.settings import Settings

_LARGEST_DIFFERENCE = 1_000


class InvalidHabit(Exception):
    """A habit that does not exist or cannot be so; ``name`` says which."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name} {detail}")
        self.name = name
        self.detail = detail


@dataclass(slots=True)
class Habits:
    """Can be changed while the sandbox runs."""

    clamp: bool = True
    """A list of more than a month begins a month before its end, without a word."""
    rate_headers: bool = True
    reset_header: bool = False
    """Whether `X-RateLimit-Reset` comes along when too many calls were made in a second."""
    strict_uuids: bool = False
    """A UUID with a leading or a double slash is only found when it was encoded twice."""
    refresh_ends_access: bool = False
    """A refresh kills the access token of before too, not only the refresh token."""
    old_wording: bool = False
    """Errors as in older captures: 4700 with 401 for scopes, `invalid_request` with 401 for dead grants."""
    size_difference: int = 0
    """Bytes by which a film or a transcript is larger than the list says."""
    download_refusal: int = 200
    """How a download without a valid token is answered: 200 with a page to sign in at, 401 or 403."""

    @classmethod
    def of(cls, settings: Settings) -> "Habits":
        """The habits the sandbox starts with."""
        return cls(clamp=settings.zoom_clamp, rate_headers=settings.zoom_rate_headers)

    def change(self, wanted: Mapping[str, object]) -> None:
        """Take over what is named in ``wanted``, all or nothing; raises `InvalidHabit`."""
        known = asdict(self)
        for name, value in wanted.items():
            if name not in known:
                raise InvalidHabit(name, "is not known")
            if name == "download_refusal":
                if value not in (200, 401, 403) or isinstance(value, bool):
                    raise InvalidHabit(name, "must be 200, 401 or 403")
            elif name == "size_difference":
                if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST_DIFFERENCE:
                    raise InvalidHabit(name, f"must be a whole number up to {_LARGEST_DIFFERENCE}")
            elif not isinstance(value, bool):
                raise InvalidHabit(name, "must be true or false")
        for name, value in wanted.items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, bool | int]:
        """Every habit."""
        return asdict(self)

    def reset(self, settings: Settings) -> None:
        """Back to what the sandbox started with."""
        initial = Habits.of(settings)
        for field in fields(self):
            setattr(self, field.name, getattr(initial, field.name))
