"""Every call carries the proof of the token it is made with, as apps with "Require App Secret" demand.

https://developers.facebook.com/docs/graph-api/guides/secure-requests
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.calls.usage import UsageLimiter
from platforms.facebook.graph import Graph, Target
from platforms.facebook.proof import appsecret_proof
from tests.unit.platforms.facebook.fake_graph import ENDPOINT, TOKEN, Asked, FakeGraph, failure, page

SECRET = "app-secret-canary"
PAGE_TOKEN = "EAApageTokenOfOnePage0123456789"
WRONG = failure(100, "Invalid appsecret_proof provided in the API argument")
MISSING = failure(100, "API calls from the server require an appsecret_proof argument")


@pytest.fixture
def graph(http: httpx.AsyncClient) -> Graph:
    endpoint = replace(ENDPOINT, app_secret=SECRET)
    return Graph(http, endpoint, TOKEN, limiter=UsageLimiter(), scope="tenant")


def strict(asked: Asked) -> httpx.Response:
    """Facebook, for an app that requires its secret."""
    given = asked.params.get("appsecret_proof")
    if given is None:
        return MISSING
    return page() if given == appsecret_proof(SECRET, asked.token) else WRONG


def lenient(asked: Asked) -> httpx.Response:
    """Facebook, about a token of another app."""
    return WRONG if "appsecret_proof" in asked.params else page()


def test_the_proof_is_the_hmac_of_the_token_under_the_apps_secret() -> None:
    # printf what+do+ya+want+for+nothing | openssl dgst -sha256 -hmac Jefe, as in RFC 4231's second case
    assert appsecret_proof("Jefe", "what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


async def test_a_call_alone_a_form_and_each_part_of_a_batch_prove_their_tokens(
    facebook: FakeGraph, graph: Graph
) -> None:
    facebook.on("me/adaccounts", strict)
    facebook.on("55/insights", strict)
    facebook.on("act_1/insights", strict)
    await graph.get(Target("me/adaccounts", ""), {})
    await graph.post(Target("act_1/insights", ""), {"level": "account"})
    await asyncio.gather(
        graph.get(Target("me/adaccounts", ""), {}),
        graph.get(Target("55/insights", ""), {}, token=PAGE_TOKEN),
    )
    assert [asked.batched for asked in facebook.asked] == [False, False, True, True]
    assert all(SECRET not in str(request.url) for request in facebook.requests)


async def test_a_batch_has_its_token_and_the_proof_in_its_form(facebook: FakeGraph, graph: Graph) -> None:
    facebook.on("me", strict)
    await asyncio.gather(*(graph.get(Target("me", ""), {}) for _ in range(2)))
    (request,) = facebook.requests
    form = dict(httpx.QueryParams(request.content.decode()))
    assert form["access_token"] == TOKEN
    assert form["appsecret_proof"] == appsecret_proof(SECRET, TOKEN)


async def test_a_token_of_another_app_is_used_without_a_proof(facebook: FakeGraph, graph: Graph) -> None:
    facebook.on("me", lenient)
    await graph.get(Target("me", ""), {})
    await asyncio.gather(*(graph.get(Target("me", ""), {}) for _ in range(2)))
    proven = ["appsecret_proof" in asked.params for asked in facebook.asked]
    assert proven == [True, False, False, False], "tried once, and not again"


async def test_without_the_apps_secret_the_refusal_is_reported(
    facebook: FakeGraph, http: httpx.AsyncClient
) -> None:
    facebook.on("me", strict)
    with pytest.raises(PlatformError) as refused:
        await facebook.graph(http).get(Target("me", ""), {})
    assert refused.value.consequence is Consequence.INVALID
    assert "require an appsecret_proof" in refused.value.detail
