"""Access tokens: the ones the sandbox knows by their shape, and the ones it mints.

A minted token carries its own facts and a signature, so that it outlives a restart of the sandbox.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sandbox.clock import Clock
from sandbox.facebook.errors import GraphError
from sandbox.settings import Settings

PACIFIC = ZoneInfo("America/Los_Angeles")
SHORT_LIFE = 5_400
LONG_LIFE = 5_183_944
DATA_ACCESS = 90 * 86_400
ALL_SCOPES = (
    "email",
    "public_profile",
    "ads_read",
    "ads_management",
    "business_management",
    "pages_show_list",
    "pages_read_engagement",
    "read_insights",
)
_DIED_BY_PREFIX = {
    "expired-": 463,
    "revoked-": 467,
    "password-changed-": 460,
    "uninstalled-": 458,
    "checkpointed-": 459,
    "unconfirmed-": 464,
    "role-lost-": 492,
    "idle-": 493,
}
_PREFIX = "Error validating access token: "
_MESSAGES = {
    458: "The user has not authorized application {app}.",
    459: "You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
    460: "The session has been invalidated because the user changed their password or Facebook has changed "
    "the session for security reasons.",
    464: "Sessions for the user are not allowed because the user is not a confirmed user.",
    467: "The session is invalid because the user logged out.",
    492: "User does not have sufficient administrative permission on the page.",
    493: "The session has been invalidated because the user has been idle for 90 days.",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token speaks for. Times are Unix seconds; ``expires_at`` 0 means never."""

    kind: str
    """USER, PAGE or APP; NONE when no token came along."""
    user_id: str = ""
    page_id: str = ""
    scopes: tuple[str, ...] = ()
    issued_at: int = 0
    expires_at: int = 0
    long_lived: bool = True
    consent: str = "minted"
    """Tokens of one consent die together when it is withdrawn."""

    def may(self, *scopes: str) -> bool:
        """Whether any of the scopes was granted."""
        return any(scope in self.scopes for scope in scopes)


ANONYMOUS = Identity("NONE")


class TokenIssuer:
    """Mints tokens and says what a token is worth now."""

    def __init__(self, settings: Settings, clock: Clock, person_id: str) -> None:
        self._settings = settings
        self._clock = clock
        self._person_id = person_id
        self._key = hashlib.sha256(
            f"sandbox|{settings.seed}|{settings.facebook_app_secret}".encode()
        ).digest()
        self._revoked: dict[str, int] = {}

    @property
    def app_id(self) -> str:
        return self._settings.facebook_app_id or "1000200030004000"

    def mint(self, identity: Identity) -> str:
        """An opaque token that `identify` turns back into ``identity``."""
        facts = [
            identity.kind[0],
            identity.user_id,
            identity.page_id,
            ",".join(identity.scopes),
            identity.issued_at,
            identity.expires_at,
            int(identity.long_lived),
        ]
        payload = json.dumps(facts, separators=(",", ":")).encode()
        signature = hmac.digest(self._key, payload, "sha256")[:12]
        return "EAA" + base64.b32encode(signature + payload).decode().rstrip("=")

    def user_token(self, scopes: tuple[str, ...], lifetime: int) -> tuple[str, int]:
        """A new user token and its lifetime in seconds."""
        now = max(int(self._clock.now()), self._revoked.get("minted", 0) + 1)
        long_lived = lifetime > SHORT_LIFE
        token = self.mint(Identity("USER", self._person_id, "", scopes, now, now + lifetime, long_lived))
        return token, lifetime

    def page_token(self, token: str, identity: Identity, page_id: str) -> str:
        """The token of a page, derived from its person's ``token``; it dies with that."""
        if token.startswith("sandbox-fb-"):
            return f"sandbox-page-{page_id}-{token[11:]}"
        expires_at = 0 if identity.long_lived else identity.expires_at
        return self.mint(replace(identity, kind="PAGE", page_id=page_id, expires_at=expires_at))

    def revoke(self, identity: Identity) -> None:
        """The person removed the app: every token of this consent issued so far dies."""
        self._revoked[identity.consent] = int(self._clock.now())

    def reset(self) -> None:
        """Forget what was revoked."""
        self._revoked.clear()

    def identify(self, token: str) -> Identity:
        """Who the token speaks for; raises `GraphError` when it is worth nothing (any more)."""
        if not token:
            return ANONYMOUS
        identity = self.read(token)
        self._check_alive(identity)
        return identity

    def read(self, token: str) -> Identity:
        """The facts of a token, alive or not; raises `GraphError` when it never was one."""
        if token.startswith("sandbox-fb-"):
            return Identity("USER", self._person_id, "", ALL_SCOPES, consent=token[11:])
        if token.startswith("sandbox-page-"):
            page_id, _, consent = token[13:].partition("-")
            return Identity("PAGE", self._person_id, page_id, ALL_SCOPES, consent=consent)
        if token.startswith("unscoped-"):
            return Identity("USER", self._person_id, "", ("public_profile",))
        if token.startswith("EAA"):
            return self._unseal(token)
        if "|" in token:
            return self._app(token)
        for prefix, subcode in _DIED_BY_PREFIX.items():
            if token.startswith(prefix):
                raise self.dead(subcode, int(self._clock.now()) - 86_400)
        if len(token) < 20:
            raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
        raise GraphError(190, f"Malformed access token {token}")

    def dead(self, subcode: int, expired_at: int = 0) -> GraphError:
        """Code 190 with the reason the session ended."""
        if subcode == 463:
            message = (
                f"{_PREFIX}Session has expired on {_pacific(expired_at)}. "
                f"The current time is {_pacific(int(self._clock.now()))}."
            )
        else:
            message = _PREFIX + _MESSAGES[subcode].format(app=self.app_id)
        return GraphError(190, message, subcode=subcode)

    def _app(self, token: str) -> Identity:
        app_id, _, secret = token.partition("|")
        wanted = self._settings.facebook_app_secret
        if not app_id.isdigit() or (
            self._settings.facebook_app_id and app_id != self._settings.facebook_app_id
        ):
            raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
        if wanted and not hmac.compare_digest(secret.encode(), wanted.encode()):
            raise GraphError(190, "Invalid OAuth access token signature.")
        return Identity("APP")

    def _unseal(self, token: str) -> Identity:
        sealed = token[3:]
        try:
            raw = base64.b32decode(sealed + "=" * (-len(sealed) % 8))
        except ValueError:
            raise GraphError(190, f"Malformed access token {token}") from None
        signature, payload = raw[:12], raw[12:]
        if not hmac.compare_digest(signature, hmac.digest(self._key, payload, "sha256")[:12]):
            raise GraphError(190, "Invalid OAuth access token signature.")
        kind, user_id, page_id, scopes, issued_at, expires_at, long_lived = json.loads(payload)
        names = {"U": "USER", "P": "PAGE"}
        return Identity(
            names[kind],
            user_id,
            page_id,
            tuple(filter(None, scopes.split(","))),
            issued_at,
            expires_at,
            bool(long_lived),
        )

    def _check_alive(self, identity: Identity) -> None:
        if identity.expires_at and identity.expires_at <= self._clock.now():
            raise self.dead(463, identity.expires_at)
        if self._revoked and identity.issued_at <= self._revoked.get(identity.consent, -1):
            raise self.dead(458)


def _pacific(unix_seconds: int) -> str:
    moment = datetime.fromtimestamp(unix_seconds, PACIFIC)
    return moment.strftime("%A, %d-%b-%y %H:%M:%S ") + (moment.tzname() or "")
