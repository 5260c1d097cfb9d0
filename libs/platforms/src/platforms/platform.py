"""What a platform's folder brings: its names, its settings, and the kinds of account one can connect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Final, TypeVar

from pydantic_settings import BaseSettings

from common.models import ConnectionKind
from platforms.advertising.access import Advertising
from platforms.oauth.base import Grant, Need

S = TypeVar("S", bound=BaseSettings)

TOKEN: Final = "token"  # noqa: S105 - the name of a field, not a secret
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a field, not a secret
WEBHOOK_SECRET: Final = "webhook_secret"  # noqa: S105 - the name of a field, not a secret
CREDENTIALS: Final = "credentials"


class Renewal(Enum):
    """What another token is asked for with: nothing (the token lasts until it is revoked), the living token
    itself, a refresh token, or the tenant's own credentials."""

    NOTHING = auto()
    ITSELF = auto()
    REFRESH_TOKEN = auto()
    CREDENTIALS = auto()


@dataclass(frozen=True, slots=True)
class PastedField:
    """A secret to paste. `name` is its place in a request: `token`, or `credentials.account_id`."""

    name: str
    title: str
    help: str
    required: bool = True
    secret: bool = True


ACCESS_TOKEN_FIELD = PastedField(TOKEN, "Access token", "It is sealed, and no page ever shows it again.")
REFRESH_TOKEN_FIELD = PastedField(
    REFRESH_TOKEN, "Refresh token", "With it the access token is renewed before it ends.", required=False
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to connect an account of a platform.

    Attributes:
        grant: its OAuth client, which also says what the kind is called and which scopes it needs.
        description: what kind of token it has, for the API's documents.
        pasted: what connects it without the platform's dialog.
        renewal: what another token is asked for with.
        margin: how long before its end a token is no longer handed out; None for tokens that live for weeks,
            which are renewed ahead by the leader's reminder alone.
        ads: its advertising, where it has any.
    """

    grant: type[Grant]
    description: str
    pasted: tuple[PastedField, ...]
    renewal: Renewal
    margin: timedelta | None = None
    ads: Advertising | None = None

    @property
    def name(self) -> ConnectionKind:
        """Its name in requests and rows."""
        return self.grant.kind

    @property
    def title(self) -> str:
        """What people call it."""
        return self.grant.title

    @property
    def needs(self) -> tuple[Need, ...]:
        """The scopes Carillon needs for everything it does with it."""
        return self.grant.needs

    @property
    def credentials(self) -> tuple[str, ...]:
        """The names of the credentials it is connected with; empty when it has none."""
        prefix = f"{CREDENTIALS}."
        return tuple(
            field.name.removeprefix(prefix) for field in self.pasted if field.name.startswith(prefix)
        )


@dataclass(frozen=True, slots=True)
class Platform:
    """One folder's entry in the registry.

    `name` begins the name of each of its kinds, and is what errors, rows and automations call it; two folders
    share one where people see one platform. `settings` are its base URLs and its app's credentials.
    """

    name: str
    title: str
    settings: type[BaseSettings]
    kinds: Sequence[Kind]


def settings_of(settings: BaseSettings, wanted: type[S]) -> S:
    """A service's settings as one platform sees them; raises TypeError where they lack the platform's."""
    if not isinstance(settings, wanted):
        raise TypeError(f"{type(settings).__name__} has no {wanted.__name__}")
    return settings
