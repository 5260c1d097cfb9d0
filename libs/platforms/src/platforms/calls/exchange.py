"""One HTTP request to a platform, and its answer or the reason there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from common.errors import Consequence
from common.http import ResponseTooLarge


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """There is no answer, or none that can be used; `consequence` says what to do about it."""

    def __init__(self, detail: str, consequence: Consequence) -> None:
        super().__init__(detail)
        self.consequence = consequence


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `headers` hold the token. At most one of `form` and `json` is given."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Mapping[str, Any] | None = None


async def exchange(http: httpx.AsyncClient, request: Request) -> Reply:
    """The answer to `request`, whatever it says; raises NoAnswer, and BlockedAddress as it is."""
    try:
        response = await http.request(
            request.method,
            request.url,
            params=request.params,
            data=request.form,
            json=request.json,
            headers=dict(request.headers),
            follow_redirects=False,
        )
    except (UnicodeError, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        # The request could not even be written down. The cause's text can hold a header, and is dropped.
        detail = f"the request cannot be sent ({type(error).__name__})"
        raise NoAnswer(detail, Consequence.INVALID) from None
    except httpx.TimeoutException as error:
        raise NoAnswer(f"no answer in time ({type(error).__name__})", Consequence.TRANSIENT) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise NoAnswer(f"no usable answer ({type(error).__name__})", Consequence.TRANSIENT) from error
    except ResponseTooLarge as error:
        raise NoAnswer(error.detail, error.consequence) from error
    return Reply(response.status_code, response.headers, response.content)


def server_attributes(base_url: str) -> dict[str, str | int]:
    """The OpenTelemetry attributes that say whom a span calls."""
    url = httpx.URL(base_url)
    return {"server.address": url.host, "server.port": url.port or (443 if url.scheme == "https" else 80)}
