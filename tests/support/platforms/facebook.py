"""Facebook's client at work against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from common.errors import Consequence
from platforms.facebook.client import FacebookClient
from platforms.facebook.graph import Graph, Target
from platforms.facebook.wire import Endpoint
from tests.support.platforms.base import Caller, Limited, Refused, RenewingCredential, Site

_ACCOUNT = "act_402210009451117"
_ACCOUNTS = Target("me/adaccounts", "me/adaccounts")
_T, _RATE, _SPLIT, _REAUTH = (
    Consequence.TRANSIENT,
    Consequence.RATE,
    Consequence.SPLIT,
    Consequence.REAUTH,
)
_PERM, _GONE, _INVALID = Consequence.PERM, Consequence.GONE, Consequence.INVALID
_TABLE = {
    _RATE: "4 17 32 341 613 80000 80001 80002 80003 80004 80005 80006 80008 80009 80014",
    _T: "1 2 104 960 2650 2/1504043 2/1504044 -2/2490547",
    _SPLIT: "1/99 100/1504018 2/1504038 100/1487534",
    _REAUTH: "102 190 190/458 190/460 190/463 190/467",
    _PERM: "3 10 200 294 299",
    _GONE: "33 803 100/33",
    _INVALID: "100 506 2500 2601 3001 3018 2/1504041 2/1504042",
    Consequence.BLOCKED: "368",
}


class FacebookDriver:
    """A person's token."""

    name: ClassVar[str] = "facebook"
    platform: ClassVar[str] = "facebook"
    prefix: ClassVar[str] = "sandbox-fb-"
    dead: ClassVar[str] = "revoked-"
    refusals: ClassVar[Sequence[Refused]] = [
        Refused(code, consequence) for consequence, codes in _TABLE.items() for code in codes.split()
    ]
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
