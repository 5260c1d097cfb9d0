"""Access, refresh and download tokens, and which pair of a person and an app is the live one."""

from collections import OrderedDict
from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.grants import DeadToken, Grant, Grants, Pair
from sandbox.settings import Settings
from sandbox.world.zoom_account import Directory, Host
from sandbox.zoom.errors import ZoomError, dead_grant
from sandbox.zoom.habits import Habits
from sandbox.zoom.scopes import ACCOUNT_SCOPES, USER_SCOPES
from sandbox.zoom.sealed import HEAD, Seal

DOWNLOAD_LIFE = 86_400
PASTED_REFRESH = "sandbox-zoom-refresh-"
_PASTED_ACCOUNT = "sandbox-zoom-account-"
_PASTED = "sandbox-zoom-"
_KEPT_REVOKED = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an access token speaks for."""

    host: Host
    scopes: tuple[str, ...]
    whole_account: bool

    def may(self, *scopes: str) -> bool:
        """Whether any of the scopes was granted."""
        return any(scope in self.scopes for scope in scopes)


class Tokens:
    """Mints tokens and says what a token is worth now."""

    def __init__(
        self, settings: Settings, clock: Clock, directory: Directory, habits: Habits, seal: Seal
    ) -> None:
        self._directory = directory
        self._habits = habits
        self._seal = seal
        self.access_seconds = int(settings.zoom_access_seconds)
        self.grants = Grants(
            "zoom",
            clock,
            settings.seed,
            access_seconds=settings.zoom_access_seconds,
            refresh_seconds=settings.zoom_refresh_seconds,
            prefixes=(HEAD, HEAD),
        )
        self._live: dict[tuple[str, str], Grant] = {}
        self._revoked: OrderedDict[str, None] = OrderedDict()

    def reset(self) -> None:
        """Forget every consent and what was revoked."""
        self.grants.reset()
        self._live.clear()
        self._revoked.clear()

    def authorise(self, host: Host, client: str, scopes: tuple[str, ...]) -> Pair:
        """A new consent: the first pair of it, and the end of any earlier pair of this person and app."""
        if earlier := self._live.get((host.email, client)):
            earlier.revoked = True
        pair = self.grants.open(client, host.email, scopes)
        self._live[host.email, client] = pair.grant
        return pair

    def refresh(self, token: str, client: str) -> Pair:
        """The next pair for a live refresh token, which is dead from now on; raises `OAuthError`."""
        try:
            return self.grants.refresh(token, client)
        except DeadToken as dead:
            if dead.reason != "unknown" or not token.startswith(PASTED_REFRESH):
                raise dead_grant() from None
        self.grants.adopt(client, self._directory.owner.email, USER_SCOPES, token)
        return self.grants.refresh(token, client)

    def whole_account(self, client: str) -> str:
        """A token of the whole account; any number of them live side by side."""
        return self._seal.mint("account", self.access_seconds, client=client)

    def is_of_account(self, token: str) -> bool:
        """Whether it was handed out for the whole account, dead or alive."""
        return self._seal.read(token, "account") is not None

    def download(self, uuid: str, lifetime: int = DOWNLOAD_LIFE) -> str:
        """A token that opens the files of one meeting for ``lifetime`` seconds and nothing else."""
        return self._seal.mint("download", lifetime, meeting=uuid)

    def opens(self, token: str, uuid: str) -> bool:
        """Whether it is a download token of that meeting and has not expired."""
        claims = self._seal.read(token, "download")
        return claims is not None and claims["meeting"] == uuid and not self._seal.has_expired(claims)

    def revoke(self, token: str) -> None:
        """End a token and the consent it belongs to; raises `OAuthError` for what is no token of ours."""
        if self.grants.revoke(token):
            return
        if not self.is_of_account(token):
            raise dead_grant()
        self._revoked[token] = None
        if len(self._revoked) > _KEPT_REVOKED:
            self._revoked.popitem(last=False)

    def identify(self, token: str) -> Identity:
        """Who an access token speaks for; raises code 124 when it is worth nothing (any more)."""
        if identity := self._pasted(token):
            return identity
        if claims := self._seal.read(token, "account"):
            if self._seal.has_expired(claims):
                raise expired()
            if token in self._revoked:
                raise ZoomError(124)
            return Identity(self._directory.owner, ACCOUNT_SCOPES, whole_account=True)
        try:
            grant = self.grants.identify(token)
        except DeadToken as dead:
            raise expired() if dead.reason == "expired" else ZoomError(124) from None
        host = self._directory.find(grant.owner)
        if host is None or (self._habits.refresh_ends_access and grant.tokens[-1] != token):
            raise ZoomError(124)
        return Identity(host, grant.scopes, whole_account=False)

    def _pasted(self, token: str) -> Identity | None:
        """Tokens that are known by their shape."""
        owner = self._directory.owner
        if token.startswith("expired-"):
            raise expired()
        if token.startswith("unscoped-"):
            return Identity(owner, (), whole_account=False)
        if token.startswith(_PASTED_ACCOUNT):
            return Identity(owner, ACCOUNT_SCOPES, whole_account=True)
        if token.startswith(_PASTED) and not token.startswith(PASTED_REFRESH):
            return Identity(owner, USER_SCOPES, whole_account=False)
        return None


def expired() -> ZoomError:
    """Code 124 for a token whose hour has passed."""
    return ZoomError(124, "Access token is expired.")
