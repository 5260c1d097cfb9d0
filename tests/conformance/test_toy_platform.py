"""A platform is one folder and one line: the real services connect, read, limit and refuse a toy one.

`toy_platform` is all there is of it. It is installed as a package would be, by an entry point.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.factories import World
from tests.support.polling import eventually
from tests.support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TOKEN = "toy-token-that-no-page-shows"
DAY = {"spend": "1.25", "impressions": 10, "clicks": 2}


@dataclass
class Toy:
    """The vendor's server. `refusal` is what it answers instead: a status, an error, a `retry-after`."""

    url: str = ""
    refusal: tuple[int, str, str] | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, target: str, token: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, document and headers."""
        parts = urlsplit(target)
        self.asked.append(parts.path)
        if self.refusal is not None:
            status, code, wait = self.refusal
            return status, {"error": code}, {"retry-after": wait} if wait else {}
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "dead_token"}, {}
        if parts.path == "/account":
            return 200, {"id": "shop-1", "name": "Toy shop", "currency": "EUR"}, {}
        days = {name: date.fromisoformat(text) for name, text in parse_qsl(parts.query)}
        return 200, {"days": [DAY] * ((days["until"] - days["since"]).days + 1)}, {}


@pytest.fixture
def toy() -> Iterator[Toy]:
    """Toy's server, on a free port of the loopback interface."""
    vendor = Toy()

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document, headers = vendor.answer(self.path, self.headers.get("authorization", ""))
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Nothing: requests are asserted on instead."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        vendor.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield vendor
        server.shutdown()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The toy package as an installer leaves it: the folder, and a dist-info with the one line."""
    site = tmp_path / "site"
    info = site / "toy_platform-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "toy_platform").symlink_to(Path(__file__).parent / "toy_platform")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy_platform\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[carillon.platforms]\ntoy = toy_platform.platform:TOY\n")
    return site


@dataclass
class Journey:
    """A team's client of the API, and its connection to Toy."""

    api: httpx.AsyncClient
    toy: Toy
    connection: str = ""

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def connect(self) -> None:
        kinds = {each["kind"]: each for each in (await self.api.get("/api/connections/kinds")).json()}
        assert kinds["toy_account"]["title"] == "Toy"
        assert [each["name"] for each in kinds["toy_account"]["paste"]] == ["token"]
        made = await self.post("/api/connections", platform="toy", name="Shop", token=TOKEN)
        self.connection = made["id"]
        checked = await self.post(f"/api/connections/{self.connection}/check")
        assert checked["outcome"] == "alive"
        assert checked["connection"]["kind"] == "toy_account"
        assert checked["connection"]["external_name"] == "Toy shop"

    async def automate(self, destination_id: str) -> str:
        made = await self.post(
            "/api/automations",
            name="Toy numbers",
            type="scheduled_report",
            destination_id=destination_id,
            schedule_config={"type": "cron", "expression": "0 0 1 1 *", "timezone": "UTC"},
            automation_config={"period": "weekly", "metric_types": ["ad_account"]},
            platforms=["toy"],
        )
        return str(made["id"])

    async def try_run(self, automation_id: str) -> dict[str, Any]:
        """What a dry run comes to."""
        answer = await self.api.post(f"/api/automations/{automation_id}/run", params={"dry_run": "true"})
        body: dict[str, Any] = answer.json()
        return body


async def test_a_platform_is_one_folder_and_one_line(
    stack: Stack, toy: Toy, site: Path, database_url: str, encryption_keys: str
) -> None:
    world = await World.open(database_url, encryption_keys)
    try:
        team = await world.team()
        destination = str(await world.webhook(team, f"{toy.url}/nowhere"))
        hosts = f"{stack.environment['OUTBOUND_ALLOWED_HOSTS']},{urlsplit(toy.url).netloc}"
        environment = {"PYTHONPATH": str(site), "TOY_BASE_URL": toy.url, "OUTBOUND_ALLOWED_HOSTS": hosts}
        service, *_others = await stack.start("api", "scheduler", "executor", **environment)
        headers = {"authorization": f"Bearer {team.api_key}"}
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
            journey = Journey(client, toy)
            await journey.connect()
            automation = await journey.automate(destination)
            await it_reports(journey, automation)
            await it_must_be_connected_again(journey, automation)
            await it_keeps_a_limit(journey, automation)
    finally:
        await world.sql.close()


async def it_reports(journey: Journey, automation: str) -> None:
    body = await journey.try_run(automation)
    assert body["run"]["status"] == "completed", body
    (message,) = body["would_deliver"]
    assert "Toy shop" in message["text"]
    assert "Source: Toy" in message["text"]
    assert "8.75" in message["text"], "seven days of 1.25"


async def it_keeps_a_limit(journey: Journey, automation: str) -> None:
    journey.toy.refusal = (429, "too_many_calls", "600")
    refused = (await journey.try_run(automation))["run"]
    assert (refused["status"], refused["error_code"]) == ("failed", "rate:too_many_calls"), refused
    journey.toy.refusal = None
    journey.toy.asked.clear()
    held = (await journey.try_run(automation))["run"]
    assert held["status"] == "failed"
    assert "has used up its calls" in held["error_message"]
    assert journey.toy.asked == [], "a call that would be refused is not made"


async def it_must_be_connected_again(journey: Journey, automation: str) -> None:
    journey.toy.refusal = (401, "dead_token", "")
    await journey.post(f"/api/automations/{automation}/run")

    async def dead() -> dict[str, Any]:
        document: dict[str, Any] = (await journey.api.get(f"/api/connections/{journey.connection}")).json()
        assert document["status"] == "reauth_required"
        return document

    connection = await eventually(dead, within=30, what="the connection is marked dead")
    assert connection["health"]["state"] == "reconnect"
    assert "Toy says dead_token" in connection["status_reason"]
    journey.toy.refusal = None
    answer = await journey.api.patch(f"/api/connections/{journey.connection}", json={"token": TOKEN})
    assert answer.json()["status"] == "active", answer.text
