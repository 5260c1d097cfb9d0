"""The sandbox's own verification against the reference implementation's signatures."""

from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from sandbox.clock import Clock
from sandbox.main import build_app
from sandbox.settings import Settings

SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def signed(secret: str, message_id: str, body: str, at: datetime = NOW) -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }


@pytest.mark.parametrize("body", ['{"type":"report.completed"}', "", "ünïcode 👍", '{"a": [1,\n2]}'])
async def test_a_signature_of_the_reference_library_is_valid(body: str) -> None:
    transport = httpx.ASGITransport(app=build_app(Settings(), Clock(source=NOW.timestamp)))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        await http.put("/_sandbox/hooks/team", json={"secret": SECRETS[0]})
        await http.post("/hooks/team", content=body.encode(), headers=signed(SECRETS[0], "msg_1", body))
        await http.post("/hooks/team", content=body.encode(), headers=signed(SECRETS[1], "msg_2", body))
        await http.put("/_sandbox/hooks/team", json={"secrets": list(SECRETS)})
        await http.post("/hooks/team", content=body.encode(), headers=signed(SECRETS[1], "msg_3", body))
        records = (await http.get("/_sandbox/received", params={"hook": "team"})).json()["messages"]
    assert [record["signature"] for record in records] == ["valid", "invalid", "valid"]
