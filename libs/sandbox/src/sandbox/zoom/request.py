"""A REST call after its path and token were understood."""

from dataclasses import dataclass

from sandbox.zoom.errors import ZoomError, invalid_field
from sandbox.zoom.tokens import Identity

_LARGEST_PAGE = 300
_DEFAULT_PAGE = 30


def whole_number(raw: str) -> int | None:
    """What the digits say; None for anything else and for more digits than an int64 has."""
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 20 else None


@dataclass(slots=True)
class ZoomRequest:
    """``path`` is decoded once and begins after the version, as "users/me"."""

    method: str
    path: str
    params: dict[str, str]
    base_url: str
    identity: Identity

    def page_size(self) -> int:
        """From 1 to 300, or code 300."""
        size = self.whole("page_size", _LARGEST_PAGE)
        if size == 0:
            raise invalid_field("page_size")
        return size or _DEFAULT_PAGE

    def whole(self, name: str, largest: int) -> int | None:
        """A whole number up to ``largest``, or code 300; None when it is not given."""
        raw = self.params.get(name, "")
        if not raw:
            return None
        number = whole_number(raw)
        if number is None or number > largest:
            raise invalid_field(name)
        return number

    def flag(self, name: str) -> bool:
        """ "true" or "false", or code 300."""
        raw = self.params.get(name, "") or "false"
        if raw.lower() not in ("true", "false"):
            raise invalid_field(name)
        return raw.lower() == "true"

    def require(self, own: tuple[str, ...], anybodys: tuple[str, ...], *, of_others: bool) -> None:
        """Raises code 4711 unless a scope for the person's own things, or for anybody's, was granted."""
        wanted = anybodys if of_others else (*own, *anybodys)
        if not self.identity.may(*wanted):
            raise ZoomError(4711, f"Invalid access token, does not contain scopes:[{', '.join(wanted)}].")
