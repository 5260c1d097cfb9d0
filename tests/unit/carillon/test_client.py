"""The client follows pagination, and turns problem documents into readable errors."""

from __future__ import annotations

import httpx
import pytest

from carillon.client import Api, Refused, Unreachable


def _api(answer: httpx.MockTransport) -> Api:
    return Api(httpx.AsyncClient(transport=answer, base_url="http://api.test"))


async def test_all_pages_of_a_collection() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("cursor") == "second":
            return httpx.Response(200, json={"items": [{"id": "b"}], "next": None})
        return httpx.Response(200, json={"items": [{"id": "a"}], "next": "/api/automations?cursor=second"})

    assert await _api(httpx.MockTransport(answer)).everything("automations") == [{"id": "a"}, {"id": "b"}]


async def test_a_problem_document_names_its_fields() -> None:
    problem = {
        "title": "Validation failed",
        "status": 422,
        "detail": "1 field is not acceptable.",
        "errors": [{"pointer": "/name", "detail": "must not be empty"}],
    }
    refusal = httpx.MockTransport(lambda _request: httpx.Response(422, json=problem))
    with pytest.raises(Refused, match=r"1 field is not acceptable\.; /name: must not be empty") as refused:
        await _api(refusal).create("automations", {"name": ""})
    assert refused.value.status == 422


async def test_a_response_without_problem_document_is_reported_by_status() -> None:
    refusal = httpx.MockTransport(lambda _request: httpx.Response(502, text="<html>bad gateway</html>"))
    with pytest.raises(Refused, match="HTTP 502"):
        await _api(refusal).run("1")


async def test_an_unreachable_server_is_reported() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(Unreachable, match="is `carillon up` running there"):
        await _api(httpx.MockTransport(answer)).run("1")
