"""What a platform's client is opened with: one connection, as one run may use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from pydantic_settings import BaseSettings

from platforms.advertising.metrics import AdsClient
from platforms.calls.credentials import Credential
from platforms.calls.usage import UsageLimiter


@dataclass(frozen=True, slots=True)
class Access:
    """One connection's token, limits and addresses.

    Attributes:
        scope: whose limits are meant, so that one tenant's calls never hold back another tenant's.
        account_settings: what was kept with the connection.
        accounts: what the connection was found to reach, see `platforms.oauth.base.Discovered`.
        first_attempt: no attempt of this run came before.
    """

    http: httpx.AsyncClient
    settings: BaseSettings
    credential: Credential
    limiter: UsageLimiter
    scope: str
    connection_id: UUID
    account_settings: Mapping[str, Any] = field(default_factory=dict)
    accounts: Sequence[Mapping[str, Any]] = ()
    first_attempt: bool = True


@dataclass(frozen=True, slots=True)
class Advertising:
    """A kind of connection's advertising.

    Attributes:
        metrics: those of `platforms.advertising.metrics.METRICS` it can tell.
        open: makes the client of one connection; raises PlatformError when its token cannot be had.
    """

    metrics: frozenset[str]
    open: Callable[[Access], Awaitable[AdsClient]]
