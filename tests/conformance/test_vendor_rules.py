"""Every row of the vendors' rules against both sides: the sandbox, and our client."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from common.errors import PlatformError
from common.http import create_client
from platforms.facebook import refusals as facebook_refusals
from platforms.tiktok_business import refusals as business_refusals
from platforms.tiktok_organic import refusals as organic_refusals
from platforms.zoom import refusals as zoom_refusals
from sandbox.settings import Settings
from tests.conformance.vendors import facebook, tiktok_business, tiktok_organic, zoom
from tests.conformance.vendors.rules import (
    TOKEN,
    Answer,
    Refused,
    Renewed,
    Request,
    Returns,
    Rule,
    body_of,
    differences,
    example,
)
from tests.support.fake_clock import Timeline
from tests.support.platforms.base import Site, caller
from tests.support.platforms.facebook import FacebookDriver
from tests.support.scripted_server import Received, Response, scripted_server
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app

RULES: Sequence[Rule] = [*facebook.RULES, *tiktok_business.RULES, *tiktok_organic.RULES, *zoom.RULES]

EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=str)
ONE_LOOP = pytest.mark.asyncio(loop_scope="module")


SECRETS = ("hush-facebook", "hush-tiktok", "hush-organic", "hush-zoom")


class Renewable:
    """A credential that renews itself, and notes what was rejected."""

    def __init__(self, token: str) -> None:
        self._tokens = [token]
        self.rejected: list[str] = []

    @property
    def seen(self) -> Sequence[str]:
        return self._tokens

    async def current(self) -> str:
        return self._tokens[-1]

    async def renewed(self, rejected: str) -> str:
        self.rejected.append(rejected)
        self._tokens.append(f"renewed-{len(self._tokens)}")
        return self._tokens[-1]


@pytest.fixture(scope="module")
def sandboxes() -> Callable[[Rule], SandboxApp]:
    """A sandbox for each set of settings, made once."""
    made: dict[str, SandboxApp] = {}

    def of(rule: Rule) -> SandboxApp:
        key = repr(sorted(rule.settings.items()))
        if key not in made:
            made[key] = sandbox_app(replace(Settings(), **rule.settings))
        return made[key]

    return of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The product's own HTTP client."""
    async with create_client(
        timeout=httpx.Timeout(5), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


@ONE_LOOP
@EVERY_RULE
async def test_the_sandbox_gives_the_documented_answer(
    rule: Rule, sandboxes: Callable[[Rule], SandboxApp]
) -> None:
    app = sandboxes(rule)
    (await app.http.post("/_sandbox/reset")).raise_for_status()
    known = {"token": rule.token}
    for step in rule.given:
        assert (await _sent(app, step, known)).status_code < 400
    answer = await _sent(app, rule.request, known)
    assert answer.status_code == rule.answer.status, answer.text
    found = answer.text if isinstance(rule.answer.body, str) else answer.json()
    assert differences(rule.answer.body, found) == []
    for name, value in rule.answer.headers.items():
        if value is None:
            assert name not in answer.headers
        else:
            assert differences(value, answer.headers.get(name)) == []


@ONE_LOOP
@EVERY_RULE
async def test_our_client_draws_the_conclusion(rule: Rule, http: httpx.AsyncClient) -> None:
    answers = [rule.answer, *([rule.concludes.answer] if isinstance(rule.concludes, Renewed) else [])]
    credential = Renewable(rule.token)
    async with scripted_server(*map(_response, answers)) as server:
        who = caller(FacebookDriver, rule.token, credential=credential, limiter=Timeline().limiter())
        match rule.concludes:
            case Refused(consequence, code, retry_after):
                with pytest.raises(PlatformError) as raised:
                    await rule.ask(Site(http, server.url), who)
                error = raised.value
                assert (error.consequence, error.code, error.retry_after) == (consequence, code, retry_after)
                told = f"{error!r} {error} {error.__cause__!r}"
                assert not [secret for secret in (rule.token, *SECRETS) if secret in told]
            case Renewed():
                await rule.ask(Site(http, server.url), who)
                assert credential.rejected == [rule.token]
                assert [each.headers["authorization"] for each in server.received] == [
                    f"Bearer {rule.token}",
                    "Bearer renewed-1",
                ]
            case Returns(value):
                assert await rule.ask(Site(http, server.url), who) == value
    if rule.is_ours:
        _is(rule, server.received[0])


def test_every_code_our_clients_know_has_a_rule() -> None:
    """A code without a rule would be known to our client alone."""

    def codes(rules: Sequence[Rule]) -> set[str]:
        return {rule.concludes.code or "" for rule in rules if isinstance(rule.concludes, Refused)}

    facebook_codes = codes(facebook.RULES)
    assert {str(code) for code in facebook_refusals.BY_CODE} <= facebook_codes
    assert {f"{code}/{subcode}" for code, subcode in facebook_refusals.BY_SUBCODE} <= facebook_codes
    assert {str(code) for code in business_refusals.BY_CODE} <= codes(tiktok_business.RULES)
    renewed = {"access_token_invalid"}
    assert set(organic_refusals.BY_CODE) | set(organic_refusals.OAUTH) <= (
        codes(tiktok_organic.RULES) | renewed
    )
    assert {str(code) for _, code in zoom_refusals.BY_CODE} <= codes(zoom.RULES) | {"124"}
    assert set(zoom_refusals.OAUTH) <= codes(zoom.RULES)


def _is(rule: Rule, received: Received) -> None:
    """The request our client made is the documented one."""
    wanted = rule.request
    assert (received.method, received.path) == (wanted.method, wanted.path)
    assert {name: received.params.get(name) for name in wanted.params} == wanted.params
    for name, value in wanted.headers.items():
        assert received.headers.get(name) == value.replace(TOKEN, rule.token)
    if wanted.form is not None:
        form = {name: value.replace(TOKEN, rule.token) for name, value in wanted.form.items()}
        assert {name: received.form.get(name) for name in form} == form
    if wanted.document is not None:
        assert received.document == wanted.document


def _response(answer: Answer) -> Response:
    headers = {name: example(value) for name, value in answer.headers.items() if value is not None}
    return Response(answer.status, body_of(answer), headers)


async def _sent(app: SandboxApp, request: Request, known: dict[str, str]) -> httpx.Response:
    def filled(values: Mapping[str, str]) -> dict[str, str]:
        return {name: _filled(value, known) for name, value in values.items()}

    answer = await app.http.request(
        request.method,
        _filled(request.path, known),
        params=filled(request.params),
        data=None if request.form is None else filled(request.form),
        json=request.document,
        headers=filled(request.headers),
    )
    for name, pattern in request.captures.items():
        found = re.search(pattern, f"{answer.headers.get('location', '')} {answer.text}")
        assert found is not None, f"{name}: {answer.text}"
        known[name] = found[1]
    return answer


def _filled(text: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text
