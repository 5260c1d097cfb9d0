"""How each of Carillon's services is run, and what it is configured with."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping

from carillon.child import Program, nothing, serves
from carillon.ports import LOOPBACK

SANDBOX = "sandbox"
SANDBOX_APPS: Mapping[str, str] = {
    "FACEBOOK_APP_ID": "1000200030004000",
    "FACEBOOK_APP_SECRET": "sandbox-facebook-app-secret",
    "TIKTOK_APP_ID": "7300000000000000001",
    "TIKTOK_APP_SECRET": "sandbox-tiktok-app-secret",
    "TIKTOK_CLIENT_KEY": "sandboxtiktokclient",
    "TIKTOK_CLIENT_SECRET": "sandbox-tiktok-client-secret",
    "ZOOM_CLIENT_ID": "SandboxZoomClient",
    "ZOOM_CLIENT_SECRET": "sandbox-zoom-client-secret",
}
"""The apps registered at the sandbox: known to everybody, and good for nothing elsewhere."""
SANDBOX_TRANSCRIPTION_KEY = "sandbox-transcription-key"


def service_program(
    kind: str,
    *,
    name: str,
    port: int,
    environment: Mapping[str, str],
    after_start: Callable[[], Awaitable[None]] = nothing,
) -> Program:
    """One process of the service whose package is `kind`; it sees the user's own environment too."""

    path = "/healthz" if kind == SANDBOX else "/readyz"

    async def is_ready() -> bool:
        return await serves(port, path)

    return Program(
        name=name,
        command=(sys.executable, "-m", kind),
        environment={
            **os.environ,
            "HOST": LOOPBACK,
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": _without_proxy(os.environ.get("NO_PROXY", os.environ.get("no_proxy", ""))),
            **environment,
            "PORT": str(port),
        },
        is_ready=is_ready,
        after_start=after_start,
    )


def vendors_at(sandbox_port: int) -> dict[str, str]:
    """Settings that send every call meant for a vendor to the sandbox."""
    origin = f"http://{LOOPBACK}:{sandbox_port}"
    return {
        "FACEBOOK_BASE_URL": origin,
        "FACEBOOK_DIALOG_URL": origin,
        "TIKTOK_BASE_URL": origin,
        "TIKTOK_PORTAL_URL": origin,
        "TIKTOK_OPEN_BASE_URL": origin,
        "TIKTOK_DIALOG_URL": origin,
        "ZOOM_BASE_URL": f"{origin}/zoom/v2",
        "ZOOM_OAUTH_URL": f"{origin}/zoom/oauth",
        "ZOOM_DIALOG_URL": f"{origin}/zoom/oauth",
        "TELEGRAM_BASE_URL": origin,
        "TRANSCRIPTION_BASE_URL": f"{origin}/transcription",
        "TRANSCRIPTION_API_KEY": SANDBOX_TRANSCRIPTION_KEY,
        "OUTBOUND_ALLOWED_HOSTS": f"{LOOPBACK}:{sandbox_port}",
        "RECEIVER_ALLOWED_HOSTS": f"{LOOPBACK}:{sandbox_port}",
    }


def _without_proxy(hosts: str) -> str:
    named = [host for host in hosts.split(",") if host]
    return ",".join([*named, *(host for host in (LOOPBACK, "localhost") if host not in named)])
