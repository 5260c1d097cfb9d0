"""A REST call after its path and token were understood."""

from dataclasses import dataclass

from sandbox.zoom.errors import ZoomError, invalid_field
from sandbox.zoom.tokens import Identity

_LARGEST_PAGE = 300
_DEFAULT_PAGE = 30


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
        raw = self.params.get("page_size", "") or str(_DEFAULT_PAGE)
        if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= _LARGEST_PAGE:
            raise invalid_field("page_size")
        return int(raw)

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
