"""What each kind of connection is made of when its secrets are pasted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from common.errors import FieldError
from common.models import ConnectionKind, Platform
from platforms.zoom.oauth import SERVER_CREDENTIALS

USUAL_KIND: Mapping[Platform, ConnectionKind] = {
    Platform.FACEBOOK: ConnectionKind.FACEBOOK_USER,
    Platform.TIKTOK: ConnectionKind.TIKTOK_BUSINESS,
    Platform.ZOOM: ConnectionKind.ZOOM_USER,
    Platform.POSTGRESQL: ConnectionKind.POSTGRESQL,
    Platform.S3: ConnectionKind.S3,
}
"""The kind that is meant where only the platform is named."""
STORES = frozenset({ConnectionKind.POSTGRESQL, ConnectionKind.S3})
"""Kinds that are no accounts: they have credentials, and nothing to renew or to discover."""

TOKEN, REFRESH_TOKEN, WEBHOOK_SECRET = "token", "refresh_token", "webhook_secret"
CREDENTIALS = "credentials"
S3_CREDENTIALS = ("access_key_id", "secret_access_key")


@dataclass(frozen=True, slots=True)
class PastedField:
    """A secret to paste. `name` is its place in a request: `token`, or `credentials.account_id`."""

    name: str
    title: str
    help: str
    required: bool = True
    secret: bool = True


_REFRESH = PastedField(
    REFRESH_TOKEN, "Refresh token", "With it the access token is renewed before it ends.", required=False
)
_ACCESS = PastedField(TOKEN, "Access token", "It is sealed, and no page ever shows it again.")
_ZOOM_EVENTS = PastedField(
    WEBHOOK_SECRET,
    "Secret token of event subscriptions",
    "Only if Zoom is to announce recordings at once: the secret token of the app's event subscription.",
    required=False,
)

PASTED: Mapping[ConnectionKind, tuple[PastedField, ...]] = {
    ConnectionKind.FACEBOOK_USER: (
        PastedField(TOKEN, "Access token", "Of a person or a system user. It is sealed at once."),
    ),
    ConnectionKind.TIKTOK_BUSINESS: (_ACCESS,),
    ConnectionKind.TIKTOK_ORGANIC: (_ACCESS, _REFRESH),
    ConnectionKind.ZOOM_USER: (_ACCESS, _REFRESH, _ZOOM_EVENTS),
    ConnectionKind.ZOOM_SERVER: (
        PastedField("credentials.account_id", "Account ID", "From the app's credentials.", secret=False),
        PastedField("credentials.client_id", "Client ID", "From the app's credentials.", secret=False),
        PastedField("credentials.client_secret", "Client secret", "It is sealed at once."),
        _ZOOM_EVENTS,
    ),
    ConnectionKind.POSTGRESQL: (
        PastedField(TOKEN, "Connection string", "Like postgresql://user:password@host:5432/database."),
    ),
    ConnectionKind.S3: (
        PastedField("credentials.access_key_id", "Access key ID", "Of a user of its own.", secret=False),
        PastedField("credentials.secret_access_key", "Secret access key", "It is sealed at once."),
    ),
}
_WANTED_CREDENTIALS: Mapping[ConnectionKind, tuple[str, ...]] = {
    ConnectionKind.ZOOM_SERVER: SERVER_CREDENTIALS,
    ConnectionKind.S3: S3_CREDENTIALS,
}
_IN_HEADERS = frozenset({TOKEN, REFRESH_TOKEN})


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets a request gives. None: not given."""

    token: SecretStr | None = None
    refresh_token: SecretStr | None = None
    credentials: Mapping[str, SecretStr] | None = None
    webhook_secret: SecretStr | None = None

    @property
    def grants(self) -> bool:
        """Whether they replace what the platform is asked with."""
        return any((self.token, self.refresh_token, self.credentials))


def unusable(kind: ConnectionKind, secrets: Secrets, *, complete: bool) -> list[FieldError]:
    """What is wrong with pasted secrets. `complete`: they are all there is, not a change of some."""
    wanted = {field.name.partition(".")[0] for field in PASTED[kind]}
    given = {
        TOKEN: secrets.token,
        REFRESH_TOKEN: secrets.refresh_token,
        CREDENTIALS: secrets.credentials,
        WEBHOOK_SECRET: secrets.webhook_secret,
    }
    faults = [
        FieldError(f"/{name}", f"not used by {kind.value}")
        for name, value in given.items()
        if value is not None and name not in wanted
    ]
    faults += _credentials_of(kind, secrets.credentials)
    for name in _IN_HEADERS:
        value = given[name]
        if isinstance(value, SecretStr) and kind not in STORES and not _fits_a_header(value):
            faults.append(FieldError(f"/{name}", "holds a character no token has; paste it again"))
    if kind is ConnectionKind.POSTGRESQL and secrets.token is not None and not _is_dsn(secrets.token):
        faults.append(FieldError("/token", "want postgresql://user:password@host:port/database"))
    if complete and not faults:
        faults = _missing(wanted, secrets)
    return faults


def _missing(wanted: set[str], secrets: Secrets) -> list[FieldError]:
    if CREDENTIALS in wanted and secrets.credentials is None:
        return [FieldError("/credentials", "Field required")]
    if TOKEN in wanted and secrets.token is None and secrets.refresh_token is None:
        return [FieldError("/token", "Field required")]
    return []


def _credentials_of(kind: ConnectionKind, given: Mapping[str, SecretStr] | None) -> list[FieldError]:
    wanted = _WANTED_CREDENTIALS.get(kind)
    if given is None or wanted is None:
        return []
    faults = [FieldError(f"/credentials/{name}", "Field required") for name in wanted if name not in given]
    return (
        faults
        + [
            FieldError("/credentials", f"holds a name that is not one of {', '.join(wanted)}")
            for name in given
            if name not in wanted
        ][:1]
    )


def _fits_a_header(secret: SecretStr) -> bool:
    text = secret.get_secret_value()
    return text.isascii() and text.isprintable() and " " not in text


def _is_dsn(secret: SecretStr) -> bool:
    try:
        parts = urlsplit(secret.get_secret_value())
        return parts.scheme in ("postgresql", "postgres") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
