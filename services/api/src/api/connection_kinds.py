"""Which kinds of connection there are, and what each is made of when its secrets are pasted. Pure.

The platforms' own come from the registry; the stores a result can go to are described here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from common.errors import FieldError
from common.models import POSTGRESQL, S3, STORES, ConnectionKind, platform_of
from platforms.platform import CREDENTIALS, REFRESH_TOKEN, TOKEN, WEBHOOK_SECRET, PastedField
from platforms.registry import AD_KINDS, KINDS, TITLES

STORE_TITLES: Final[Mapping[ConnectionKind, str]] = {
    POSTGRESQL: "PostgreSQL",
    S3: "S3-compatible storage",
}
ALL_KINDS: Final[tuple[ConnectionKind, ...]] = (*KINDS, *STORES)
USUAL_KIND: Final[Mapping[str, ConnectionKind]] = {platform_of(kind): kind for kind in reversed(ALL_KINDS)}
"""The kind that is meant where only the platform is named: the first it declares."""

PASTED: Final[Mapping[ConnectionKind, tuple[PastedField, ...]]] = {
    **{name: kind.pasted for name, kind in KINDS.items()},
    POSTGRESQL: (
        PastedField(TOKEN, "Connection string", "Like postgresql://user:password@host:5432/database."),
    ),
    S3: (
        PastedField("credentials.access_key_id", "Access key ID", "Of a user of its own.", secret=False),
        PastedField("credentials.secret_access_key", "Secret access key", "It is sealed at once."),
    ),
}
_WANTED_CREDENTIALS: Final[Mapping[ConnectionKind, tuple[str, ...]]] = {
    **{name: kind.credentials for name, kind in KINDS.items() if kind.credentials},
    S3: ("access_key_id", "secret_access_key"),
}
_DESCRIPTIONS: Final[Mapping[ConnectionKind, str]] = {
    **{name: kind.description for name, kind in KINDS.items()},
    POSTGRESQL: "a DSN",
    S3: "an access key",
}
_IN_HEADERS = frozenset({TOKEN, REFRESH_TOKEN})

if TYPE_CHECKING:

    class PlatformName(StrEnum):
        """What a tenant can connect."""

    class KindName(StrEnum):
        """How an account was connected."""

    SourcePlatform = str
    AdPlatform = str
else:
    # Enumerations for requests and the OpenAPI document. Their members are what is installed, which no type
    # checker can know.
    PlatformName = StrEnum("Platform", {name.upper(): name for name in map(platform_of, ALL_KINDS)})
    PlatformName.__doc__ = "What a tenant can connect: the platforms, and the stores results can go to."
    KindName = StrEnum("ConnectionKind", {name.upper(): name for name in ALL_KINDS})
    KindName.__doc__ = (
        "How an account was connected, which decides how its token is renewed.\n\n"
        + "\n".join(f"`{name}`: {told}." for name, told in _DESCRIPTIONS.items())
    )
    SourcePlatform = Literal[tuple(TITLES)]
    AdPlatform = Literal[tuple(dict.fromkeys(map(platform_of, AD_KINDS)))]


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
        FieldError(f"/{name}", f"not used by {kind}")
        for name, value in given.items()
        if value is not None and name not in wanted
    ]
    faults += _credentials_of(kind, secrets.credentials)
    for name in _IN_HEADERS:
        value = given[name]
        if isinstance(value, SecretStr) and kind not in STORES and not _fits_a_header(value):
            faults.append(FieldError(f"/{name}", "holds a character no token has; paste it again"))
    if kind == POSTGRESQL and secrets.token is not None and not _is_dsn(secrets.token):
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
