"""Where the next page of a list begins."""

import hashlib

from sandbox.zoom.errors import ZoomError
from sandbox.zoom.sealed import Seal

_LIFE = 900
_KIND = "page"


class Pages:
    """Makes and reads next_page_token, which lives 15 minutes and continues nothing but its own list."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def token(self, asked: tuple[object, ...], position: tuple[int, ...]) -> str:
        """The token to go on with from ``position`` in the list that was ``asked`` for."""
        return self._seal.mint(_KIND, _LIFE, list=_fingerprint(asked), position=position)

    def position(self, token: str, asked: tuple[object, ...]) -> tuple[int, ...] | None:
        """Where a list goes on; None at its beginning. Raises code 300."""
        if not token:
            return None
        claims = self._seal.read(token, _KIND)
        if claims is None or claims["list"] != _fingerprint(asked) or self._seal.has_expired(claims):
            raise ZoomError(300, "The next page token is invalid or expired.")
        return tuple(claims["position"])


def _fingerprint(asked: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
