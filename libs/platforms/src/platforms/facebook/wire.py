"""HTTP to the Graph API: a call, a form, or several calls in one request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from platforms.calls.exchange import Reply, Request, exchange
from platforms.facebook.proof import proof_of

MAX_IN_FLIGHT = 4
"""Requests one run has open at a time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the Graph API is: `https://graph.facebook.com`, `v26.0`; and the secret of the app that asks it.

    `app_secret` proves each token; empty where it is not known, or where the token is another app's.
    """

    base_url: str
    version: str
    app_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked below the version, and the token it is asked with."""

    path: str
    params: Mapping[str, str]
    token: str = field(repr=False)


class Wire:
    """Sends requests; raises NoAnswer.

    The token travels in a header, or in the body of a batch, never in an address.
    """

    def __init__(self, http: httpx.AsyncClient, endpoint: Endpoint) -> None:
        self._http = http
        self._base = f"{endpoint.base_url.rstrip('/')}/{endpoint.version}/"
        self._secret = endpoint.app_secret
        self._turn = asyncio.Semaphore(MAX_IN_FLIGHT)

    def stop_proving(self) -> None:
        """Send no more proofs: the token is not this app's."""
        self._secret = ""

    async def get(self, call: Call) -> Reply:
        """One call."""
        return await self._send("GET", call.path, call.token, params=self._proven(call))

    async def post(self, call: Call) -> Reply:
        """One form."""
        return await self._send("POST", call.path, call.token, form=self._proven(call))

    async def batch(self, calls: Sequence[Call], token: str) -> list[Reply | None] | Reply:
        """Up to 50 calls in one request: their answers in order, None for those not finished in time; or the
        one answer of a batch that was refused as a whole."""
        parts = [{"method": "GET", "relative_url": self._relative_url(call, token)} for call in calls]
        # Facebook documents the token of a batch as a field of its form.
        form = {
            "access_token": token,
            **proof_of(self._secret, token),
            "batch": json.dumps(parts, separators=(",", ":")),
            "include_headers": "true",
        }
        reply = await self._send("POST", "", token, form=form)
        answers = _answers(reply.body)
        return reply if answers is None or len(answers) != len(calls) else answers

    async def _send(
        self,
        method: str,
        path: str,
        token: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Reply:
        headers = {"authorization": f"Bearer {token}"}
        request = Request(method, self._base + path, headers, params=params, form=form)
        async with self._turn:
            return await exchange(self._http, request)

    def _relative_url(self, call: Call, token: str) -> str:
        own = {} if call.token == token else {"access_token": call.token}
        return f"{call.path}?{urlencode({**self._proven(call), **own})}"

    def _proven(self, call: Call) -> Mapping[str, str]:
        """Its parameters, with the proof of the token it is made with."""
        return {**call.params, **proof_of(self._secret, call.token)}


def _answers(body: bytes) -> list[Reply | None] | None:
    try:
        parts = json.loads(body)
        return (
            [None if part is None else _answer(part) for part in parts] if isinstance(parts, list) else None
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _answer(part: Mapping[str, object]) -> Reply:
    headers = part.get("headers")
    code, body = part["code"], part["body"]
    if not isinstance(code, int) or not isinstance(body, str):
        raise TypeError("a part of a batch has a number as code and text as body")
    named = headers if isinstance(headers, list) else ()
    return Reply(code, {each["name"].lower(): each["value"] for each in named}, body.encode())
