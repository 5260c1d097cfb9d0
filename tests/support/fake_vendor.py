"""A fake vendor in this process: scripted answers, recorded requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx

from platforms.facebook.settings import FacebookSettings
from platforms.tiktok_business.settings import TikTokBusinessSettings
from platforms.tiktok_organic.settings import TikTokOrganicSettings
from platforms.zoom.settings import ZoomSettings


class VendorSettings(FacebookSettings, TikTokBusinessSettings, TikTokOrganicSettings, ZoomSettings):
    """Those of all platforms."""


_ADDRESSES = {
    "facebook_base_url": "https://graph.test",
    "facebook_dialog_url": "https://dialog.test",
    "tiktok_base_url": "https://business.test",
    "tiktok_open_base_url": "https://open.test",
    "tiktok_dialog_url": "https://tiktok.test",
    "tiktok_portal_url": "https://portal.test",
    "zoom_base_url": "https://api.test/v2",
    "zoom_oauth_url": "https://zoom.test/oauth",
    "zoom_dialog_url": "https://zoom.test/oauth",
}
_IDS = {
    "facebook_app_id": "1000200030004000",
    "tiktok_app_id": "7000000000000000001",
    "tiktok_client_key": "awkey",
    "zoom_client_id": "zoomclient",
}
_SECRETS = {
    "facebook_app_secret": "fb-app-secret-canary",
    "tiktok_app_secret": "tt-app-secret-canary",
    "tiktok_client_secret": "tt-client-secret-canary",
    "zoom_client_secret": "zoom-client-secret-canary",
}
SECRETS = tuple(_SECRETS.values())
CONFIGURED = VendorSettings.model_validate({**_ADDRESSES, **_IDS, **_SECRETS})
UNCONFIGURED = VendorSettings.model_validate({**_ADDRESSES, **dict.fromkeys((*_IDS, *_SECRETS))})
"""Without the app's credentials."""


Answer = Callable[[httpx.Request], httpx.Response]


class Vendor:
    """Answers by path, in the order given for a path; the last answer stays."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._answers: dict[str, list[Answer]] = {}

    def on(self, path: str, *answers: Answer | Mapping[str, Any]) -> None:
        """What the path answers, one after the other."""
        self._answers[path] = [each if callable(each) else says(200, each) for each in answers]

    def client(self) -> httpx.AsyncClient:
        """A client that reaches nothing else."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    def asked(self, path: str) -> list[httpx.Request]:
        """The requests for a path, in order."""
        return [request for request in self.requests if request.url.path == path]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answers = self._answers[request.url.path]
        return (answers.pop(0) if len(answers) > 1 else answers[0])(request)


def says(status: int, document: object, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    return lambda _request: httpx.Response(status, json=document, headers=headers)


def raw(status: int, body: bytes) -> Answer:
    """An answer as it is."""
    return lambda _request: httpx.Response(status, content=body)


def breaks(error: type[httpx.TransportError]) -> Answer:
    """No answer, for the reason given."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error("broken", request=request)

    return answer


def form_of(request: httpx.Request) -> dict[str, str]:
    """The form a request carries."""
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return dict(parse_qsl(request.content.decode(), strict_parsing=True))


def document_of(request: httpx.Request) -> dict[str, Any]:
    """The JSON a request carries."""
    document: dict[str, Any] = json.loads(request.content)
    return document
