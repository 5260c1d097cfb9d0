"""What clients send and receive about connections."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.connection_kinds import KindName, PlatformName, Secrets
from api.connections.health import HealthState
from api.fields import UNSET, Input, Moment, Name, Patch, Secret
from common.models import ConnectionStatus, RefreshOutcome

Scope = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Scopes = Annotated[list[Scope], Field(max_length=100)]
CredentialName = Annotated[str, StringConstraints(max_length=100)]
Credentials = Annotated[dict[CredentialName, Secret], Field(max_length=10)]


class ConnectionCreate(Input):
    """An account on a platform, or a store, with the secrets that were granted for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "platform": "facebook",
                    "name": "Main business",
                    "token": "EAAExampleExampleExample",
                    "scopes": ["ads_read", "pages_read_engagement"],
                },
                {
                    "platform": "zoom",
                    "kind": "zoom_server",
                    "name": "Academy",
                    "credentials": {
                        "account_id": "wTJw8LgeT8GlOSjLjOU9Hw",
                        "client_id": "ExampleClientId",
                        "client_secret": "ExampleClientSecret",
                    },
                },
            ]
        }
    )

    platform: PlatformName
    kind: KindName | None = Field(
        default=None,
        description="How it is connected; by default `facebook_user`, `tiktok_business` or `zoom_user`",
    )
    name: Name
    token: Secret | None = Field(
        default=None, description="The access token, or the connection string; never shown again"
    )
    refresh_token: Secret | None = Field(
        default=None, description="What the access token is renewed with, where the kind has one"
    )
    credentials: Credentials | None = Field(
        default=None,
        description="Of a Zoom server-to-server app: `account_id`, `client_id`, `client_secret`; "
        "of an S3 store: `access_key_id`, `secret_access_key`",
    )
    webhook_secret: Secret | None = Field(
        default=None, description="The secret token of Zoom's event subscription"
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="What the platform needs besides")
    scopes: Scopes = Field(default_factory=list, description="What the token may do")
    expires_at: Moment | None = Field(default=None, description="When the token expires, if it does")

    def secrets(self) -> Secrets:
        """What is to be sealed."""
        return Secrets(self.token, self.refresh_token, self.credentials, self.webhook_secret)


class ConnectionPatch(Patch):
    """Changes to a connection. A new token, refresh token or credentials make it active again."""

    name: Name = UNSET
    token: Secret = UNSET
    refresh_token: Secret = UNSET
    credentials: Credentials = UNSET
    webhook_secret: Secret | None = UNSET
    settings: dict[str, Any] = UNSET
    scopes: Scopes = UNSET
    expires_at: Moment | None = UNSET

    def secrets(self) -> Secrets:
        """What is to be sealed."""
        return Secrets(self.token, self.refresh_token, self.credentials, self.webhook_secret)


class HealthOut(BaseModel):
    """How a connection is."""

    model_config = ConfigDict(from_attributes=True)

    state: HealthState = Field(
        description="`healthy`, `expires_soon`, `renewal_late`, `needs_attention` (a permission, or what the "
        "platform last refused), or `reconnect`: a person must connect the account again"
    )
    reason: str | None = Field(default=None, description="Why, unless it is healthy")


class ConnectionOut(BaseModel):
    """A connection. Its secrets are never among what is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    platform: PlatformName
    kind: KindName
    name: str
    status: ConnectionStatus = Field(description="`reauth_required`: connect it again or give it a new token")
    status_reason: str | None
    health: HealthOut
    problem: str | None = Field(description="What the platform last refused it")
    external_id: str | None = Field(description="The account's own id on the platform, once it is known")
    external_name: str | None = Field(description="What the account is called there")
    accounts: list[dict[str, Any]] = Field(
        description="What it reaches: ad accounts, pages, advertisers, profiles or users, each with its "
        "`id`, `name`, `type`, and its `currency` and `timezone` where there are such"
    )
    settings: dict[str, Any]
    scopes: list[str]
    missing_scopes: list[str] = Field(description="What its kind needs and it was not granted")
    has_token: bool
    has_refresh_token: bool
    has_credentials: bool
    has_webhook_secret: bool
    expires_at: datetime | None = Field(description="When its access token ends")
    refresh_expires_at: datetime | None = Field(description="When its refresh token ends")
    refresh_at: datetime | None = Field(description="When its token is renewed or looked at next")
    refreshed_at: datetime | None = Field(description="When its token was last renewed")
    checked_at: datetime | None = Field(description="When the platform last said what it reaches")
    created_at: datetime
    updated_at: datetime


class PastedFieldOut(BaseModel):
    """A secret to paste."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="Its place in the request", examples=["token", "credentials.account_id"])
    title: str
    help: str
    required: bool


class KindOut(BaseModel):
    """A kind of connection and how one is made."""

    kind: KindName
    platform: PlatformName
    title: str
    has_dialog: bool = Field(description="Whether a person agrees on the platform's own page")
    is_configured: bool = Field(description="Whether this server has what its dialog and renewals need")
    missing_settings: list[str] = Field(
        description="Settings the operator has to set for that", examples=[["FACEBOOK_APP_ID"]]
    )
    needs: list[str] = Field(description="Scopes everything Carillon does with it needs")
    paste: list[PastedFieldOut] = Field(description="What connects it without the dialog")


class AuthorizeRequest(Input):
    """A wish to connect an account by its platform's dialog."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "facebook_user"}]})

    kind: KindName
    name: Name | None = Field(default=None, description="What to call it; by default the account's name")
    connection_id: UUID | None = Field(default=None, description="The connection to connect again")


class AuthorizeOut(BaseModel):
    """Where to agree."""

    authorize_url: str = Field(
        description="Open it in a browser that is signed in to the console as the person the API key belongs "
        "to: the answer is accepted from this person only, and once"
    )
    expires_at: datetime


class CheckOutcome(StrEnum):
    """What a look at a connection came to."""

    ALIVE = "alive"
    RENEWAL_REQUESTED = "renewal_requested"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


class CheckOut(BaseModel):
    """What the platform said just now."""

    outcome: CheckOutcome = Field(
        description="`alive`: it was looked at. `renewal_requested`: its token is dead or has ended, and a "
        "renewal was asked for, which says whether it can be saved. `refused`: the platform does not let "
        "it be looked at. `unanswered`: the platform could not be asked; nothing was changed"
    )
    detail: str | None = Field(description="What the platform said, unless it is alive")
    connection: ConnectionOut


class RefreshOut(BaseModel):
    """One renewal of a connection's token."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    started_at: datetime
    ended_at: datetime | None
    outcome: RefreshOutcome | None = Field(
        description="`refreshed`; `rejected`: the grant is dead; `failed`: worth another try; `unknown`: it "
        "was sent, and its answer never came. Absent while it is going on"
    )
    token_version: int
    error_code: str | None
    error_message: str | None
