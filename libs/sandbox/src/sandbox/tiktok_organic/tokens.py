"""Access tokens of the organic API: minted by a consent, or known by their shape."""

from dataclasses import dataclass

from sandbox.grants import DeadToken, Grants
from sandbox.tiktok_organic.errors import ApiError
from sandbox.world.tiktok_creators import Creator, Creators

READ_SCOPES = ("user.info.basic", "user.info.profile", "user.info.stats", "video.list")
PASTED_REFRESH = "rft.sandbox-"
_PASTED = {"act.sandbox-": READ_SCOPES, "act.unscoped-": ("user.info.basic",)}
_ANY_CLIENT = "sandbox"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an access token speaks for."""

    client: str
    creator: Creator
    scopes: tuple[str, ...]

    @property
    def open_id(self) -> str:
        return self.creator.open_id(self.client)


class Tokens:
    """Says what an access token is worth now."""

    def __init__(self, grants: Grants, creators: Creators) -> None:
        self._grants = grants
        self._creators = creators

    def identify(self, token: str) -> Identity:
        """Raises access_token_invalid for a token that is worth nothing (any more)."""
        for prefix, scopes in _PASTED.items():
            if token.startswith(prefix):
                return Identity(_ANY_CLIENT, self._creators.named(token.removeprefix(prefix)), scopes)
        try:
            grant = self._grants.identify(token)
        except DeadToken:
            raise ApiError("access_token_invalid") from None
        return Identity(grant.client, self._creators.named(grant.owner), grant.scopes)
