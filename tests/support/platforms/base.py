"""What the conformance suite asks of every platform client: the same few verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID, uuid4

import httpx

from platforms.calls.credentials import Credential, FixedCredential
from platforms.calls.usage import UsageLimiter
from platforms.oauth.base import Grant, Stored
from tests.support.channels import unique


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit as the platform tells it, the code of its refusal, and how long it has to be kept to."""

    name: str
    fault: Mapping[str, Any]
    code: str
    wait: float


@dataclass(frozen=True, slots=True)
class Site:
    """The sandbox a client is pointed at."""

    http: httpx.AsyncClient
    url: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose calls they are; by default somebody's no other test knows, so that faults strike nobody else."""

    token: str
    credential: Credential
    limiter: UsageLimiter
    connection_id: UUID
    scope: str = field(default_factory=lambda: f"scope-{unique()}")


class PlatformDriver(Protocol):
    """One platform's client at work against the sandbox."""

    name: ClassVar[str]
    """The platform as the sandbox calls it."""
    platform: ClassVar[str]
    """The platform as its errors call it."""
    prefix: ClassVar[str]
    """What a token begins with that the sandbox takes."""
    dead: ClassVar[str]
    """What a token begins with that was revoked."""
    mistake: ClassVar[str]
    """The code of a request that was wrong."""
    limits: ClassVar[Sequence[Limited]]
    moment: ClassVar[Mapping[str, Any] | None]
    """The fault of a limit that is over in a second; None where there is none."""

    renewing: ClassVar[Callable[[Site], RenewingCredential] | None]
    """Makes the credential of a new consent at the sandbox; None for tokens that cannot be renewed."""

    def __init__(self, site: Site, caller: Caller) -> None: ...

    async def ask(self) -> object:
        """What one call answers."""
        ...

    async def listed(self) -> list[str]:
        """The ids of a list of several pages, as they come."""
        ...

    async def counted(self) -> int:
        """How many ids that list has, found in another way."""
        ...


class RenewingCredential:
    """The credential of a new consent at the sandbox, which renews itself there, and counts.

    `lifetime` is how many seconds its tokens live.
    """

    def __init__(self, grant: Grant, refresh_token: str, *, lifetime: float) -> None:
        self.renewals = 0
        self.lifetime = lifetime
        self._grant = grant
        self._stored = Stored(refresh_token=refresh_token)
        self._seen: list[str] = []

    @property
    def seen(self) -> Sequence[str]:
        """Every token it had."""
        return self._seen

    async def current(self) -> str:
        """Its token, the first of which is asked for."""
        return self._stored.access_token or await self.renewed("")

    async def renewed(self, rejected: str) -> str:
        """The next token, whatever the one before was worth."""
        tokens = await self._grant.renew(self._stored, now=datetime.now(UTC))
        self._stored = Stored(tokens.access_token, tokens.refresh_token)
        self._seen.append(tokens.access_token)
        self.renewals += 1
        return tokens.access_token


def caller(driver: type[PlatformDriver], token: str = "", **given: Any) -> Caller:
    """Somebody with `token`, by default one of their own that the sandbox takes."""
    token = token or f"{driver.prefix}{unique()}"
    connection_id = uuid4()
    own = FixedCredential(token, platform=driver.platform, connection_id=str(connection_id))
    return Caller(
        **{
            "token": token,
            "credential": own,
            "limiter": UsageLimiter(),
            "connection_id": connection_id,
            **given,
        }
    )
