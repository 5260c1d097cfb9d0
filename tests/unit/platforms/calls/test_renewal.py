"""A token that dies under a call is renewed once."""

from __future__ import annotations

import pytest

from common.errors import Consequence, PlatformError
from platforms.calls.renewal import with_renewal


class Renewing:
    """A credential whose every renewal answers the next of its tokens."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.rejected: list[str] = []

    @property
    def seen(self) -> list[str]:
        """All of them."""
        return self.tokens

    async def current(self) -> str:
        """The first."""
        return self.tokens[0]

    async def renewed(self, rejected: str) -> str:
        """The next, or REAUTH."""
        self.rejected.append(rejected)
        if len(self.rejected) >= len(self.tokens):
            raise _refusal(Consequence.REAUTH, "invalid_grant")
        return self.tokens[len(self.rejected)]


class Called:
    """A call that accepts one token only."""

    def __init__(self, accepted: str, refusal: Consequence = Consequence.REFRESH) -> None:
        self._accepted = accepted
        self._refusal = refusal
        self.tokens: list[str] = []

    async def __call__(self, token: str) -> str:
        self.tokens.append(token)
        if token != self._accepted:
            raise _refusal(self._refusal, "expired")
        return "done"


def _refusal(consequence: Consequence, code: str) -> PlatformError:
    return PlatformError("no", consequence, platform="tiktok", code=code, connection_id="c")


async def test_a_living_token_is_used_once() -> None:
    credential, call = Renewing("a", "b"), Called("a")
    assert await with_renewal(credential, call) == "done"
    assert (call.tokens, credential.rejected) == (["a"], [])


async def test_a_dead_one_is_renewed_and_the_call_made_again() -> None:
    credential, call = Renewing("a", "b"), Called("b")
    assert await with_renewal(credential, call) == "done"
    assert (call.tokens, credential.rejected) == (["a", "b"], ["a"])


async def test_a_renewed_one_that_is_refused_needs_a_person() -> None:
    credential, call = Renewing("a", "b", "c"), Called("c")
    with pytest.raises(PlatformError) as refused:
        await with_renewal(credential, call)
    assert (refused.value.consequence, refused.value.code) == (Consequence.REAUTH, "expired")
    assert refused.value.connection_id == "c"
    assert call.tokens == ["a", "b"]


async def test_a_failed_renewal_says_so_itself() -> None:
    with pytest.raises(PlatformError) as refused:
        await with_renewal(Renewing("a"), Called("b"))
    assert refused.value.code == "invalid_grant"


@pytest.mark.parametrize("consequence", [each for each in Consequence if each is not Consequence.REFRESH])
async def test_no_other_refusal_renews(consequence: Consequence) -> None:
    credential = Renewing("a", "b")
    with pytest.raises(PlatformError) as refused:
        await with_renewal(credential, Called("b", consequence))
    assert refused.value.consequence is consequence
    assert credential.rejected == []
