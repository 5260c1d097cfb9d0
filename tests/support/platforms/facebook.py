"""Facebook's client at work against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from platforms.facebook.client import FacebookClient
from platforms.facebook.graph import Graph, Target
from platforms.facebook.wire import Endpoint
from tests.support.platforms.base import Caller, Limited, RenewingCredential, Site

_ACCOUNT = "act_402210009451117"
_ACCOUNTS = Target("me/adaccounts", "me/adaccounts")


class FacebookDriver:
    """A person's token."""

    name: ClassVar[str] = "facebook"
    platform: ClassVar[str] = "facebook"
    prefix: ClassVar[str] = "sandbox-fb-"
    dead: ClassVar[str] = "revoked-"
    mistake: ClassVar[str] = "100"
    limits: ClassVar[Sequence[Limited]] = [
        Limited("told in a header", {"kind": "rate_limit", "retry_after": 300}, "80000", 300.0),
        Limited("told without one", {"kind": "code", "code": "80000"}, "80000", 60.0),
    ]
    moment: ClassVar[Mapping[str, Any] | None] = None
    renewing: ClassVar[Callable[[Site], RenewingCredential] | None] = None

    def __init__(self, site: Site, caller: Caller) -> None:
        self._graph = Graph(
            site.http,
            Endpoint(site.url, "v26.0"),
            caller.token,
            limiter=caller.limiter,
            scope=caller.scope,
            connection_id=caller.connection_id,
        )

    async def ask(self) -> object:
        """An ad account's figures."""
        target = Target(f"{_ACCOUNT}/insights", "{ad_account_id}/insights", _ACCOUNT)
        return await self._graph.get(target, {"fields": "spend", "level": "account"})

    async def listed(self) -> list[str]:
        """The ad accounts, three at a time."""
        return [row["id"] async for row in self._graph.rows(_ACCOUNTS, {"fields": "id"}, limit=3)]

    async def counted(self) -> int:
        """The ad accounts at once."""
        return len(await FacebookClient(self._graph).ad_accounts())
