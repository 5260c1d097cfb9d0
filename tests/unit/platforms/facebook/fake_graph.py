"""A Graph API in memory, for tests that need an answer no server gives on demand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import httpx

from platforms.calls.usage import UsageLimiter
from platforms.facebook.graph import Graph
from platforms.facebook.wire import Endpoint

TOKEN = "EAAuserTokenThatMustNeverBeSeenAnywhere0123456789"
ENDPOINT = Endpoint("https://graph.example.com", "v26.0")

Answer = httpx.Response | Exception | None
"""None: a part of a batch that was not finished in time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as Facebook sees it, whether it came alone or in a batch."""

    method: str
    path: str
    params: dict[str, str]
    token: str
    batched: bool


class FakeGraph:
    """Answers by path, in the order given; the last answer repeats. Anything else is refused with 2500."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.asked: list[Asked] = []
        self.batch_answer: httpx.Response | Exception | None = None
        self._answers: dict[str, list[Answer | Callable[[Asked], Answer]]] = defaultdict(list)

    def on(self, path: str, *answers: Answer | Callable[[Asked], Answer]) -> None:
        """Answer calls to `path` with these, one after the other."""
        self._answers[path] = list(answers)

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that reaches nothing else."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._serve), trust_env=False)

    def graph(self, http: httpx.AsyncClient, limiter: UsageLimiter | None = None) -> Graph:
        """The transport under test, with `TOKEN`."""
        return Graph(http, ENDPOINT, TOKEN, limiter=limiter or UsageLimiter(), scope="tenant")

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [asked.path for asked in self.asked]

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix("/v26.0/")
        form = dict(parse_qsl(request.content.decode()))
        token = request.headers["authorization"].removeprefix("Bearer ")
        if not path and "batch" in form:
            return self._serve_batch(json.loads(form["batch"]), token)
        asked = Asked(request.method, path, {**request.url.params, **form}, token, batched=False)
        answer = self._answer(asked)
        if answer is None:
            raise httpx.ReadTimeout("not finished in time", request=request)
        return answer

    def _serve_batch(self, parts: list[dict[str, str]], token: str) -> httpx.Response:
        if isinstance(self.batch_answer, Exception):
            raise self.batch_answer
        if self.batch_answer is not None:
            return self.batch_answer
        answers = []
        for part in parts:
            path, _, query = part["relative_url"].partition("?")
            params = dict(parse_qsl(query))
            own_token = params.pop("access_token", token)
            answer = self._answer(Asked(part["method"], path, params, own_token, batched=True))
            answers.append(
                answer
                and {
                    "code": answer.status_code,
                    "headers": [
                        {"name": name.title(), "value": value} for name, value in answer.headers.items()
                    ],
                    "body": answer.text,
                }
            )
        return httpx.Response(200, json=answers)

    def _answer(self, asked: Asked) -> httpx.Response | None:
        self.asked.append(asked)
        answers = self._answers[asked.path]
        if not answers:
            return failure(2500, f"Unknown path components: /{asked.path}")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(asked)
        if isinstance(answer, Exception):
            raise answer
        return answer


def page(*rows: Mapping[str, object], after: str | None = None, more: bool = False) -> httpx.Response:
    """One page of a list. `more`: there is another, at an address that holds the token."""
    body: dict[str, object] = {"data": list(rows)}
    if after is not None:
        paging: dict[str, object] = {"cursors": {"before": "b", "after": after}}
        if more:
            paging["next"] = f"https://graph.example.com/v26.0/next?access_token={TOKEN}&after={after}"
        body["paging"] = paging
    return httpx.Response(200, json=body)


def failure(
    code: int,
    message: str = "Something went wrong",
    *,
    subcode: int | None = None,
    status: int = 400,
    headers: dict[str, str] | None = None,
    **more: object,
) -> httpx.Response:
    """An error envelope."""
    error: dict[str, object] = {"message": message, "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        error["error_subcode"] = subcode
    return httpx.Response(status, json={"error": {**error, "fbtrace_id": "AbCdEf"}}, headers=headers)
