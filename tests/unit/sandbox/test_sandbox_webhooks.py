import base64
import hashlib
import hmac
import json

import pytest

from sandbox.signatures import InvalidSecret, decode_secret, judge
from tests.unit.sandbox.conftest import SandboxApp

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SIGNED_AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The example of the Standard Webhooks specification."""


def signed(**changes: str) -> dict[str, str]:
    headers = {"webhook-id": MESSAGE_ID, "webhook-timestamp": str(SIGNED_AT), "webhook-signature": SIGNATURE}
    return {name: value for name, value in {**headers, **changes}.items() if value}


def verdict(headers: dict[str, str], body: bytes = BODY, now: float = SIGNED_AT) -> str:
    return judge([decode_secret(SECRET)], headers, body, now)


def test_the_specifications_own_example_is_valid() -> None:
    assert verdict(signed()) == "valid"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (signed(**{"webhook-id": "msg_other"}), "invalid"),
        (signed(**{"webhook-timestamp": str(SIGNED_AT + 1)}), "invalid"),
        (signed(**{"webhook-signature": "v1,AAAA"}), "invalid"),
        (signed(**{"webhook-signature": SIGNATURE.replace("v1,", "v2,")}), "invalid"),
        (signed(**{"webhook-signature": SIGNATURE[3:]}), "invalid"),
        (signed(**{"webhook-signature": f"v1a,AAAA v1,BBBB {SIGNATURE}"}), "valid"),
        (signed(**{"webhook-signature": ""}), "missing"),
        (signed(**{"webhook-id": ""}), "missing"),
        (signed(**{"webhook-timestamp": "soon"}), "malformed"),
        (signed(**{"webhook-timestamp": "\u0664\u0664"}), "malformed"),
        (signed(**{"webhook-id": "a.b"}), "malformed"),
    ],
)
def test_verdicts(headers: dict[str, str], expected: str) -> None:
    assert verdict(headers) == expected


def test_another_body_is_invalid() -> None:
    assert verdict(signed(), BODY + b" ") == "invalid"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(300, "valid"), (-300, "valid"), (301, "expired"), (-301, "expired")]
)
def test_five_minutes_either_way(seconds: int, expected: str) -> None:
    assert verdict(signed(), now=SIGNED_AT + seconds) == expected


def test_either_key_will_do_while_secrets_rotate() -> None:
    assert judge([b"new" * 8, decode_secret(SECRET)], signed(), BODY, SIGNED_AT) == "valid"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64", ""])
def test_a_secret_that_is_none(secret: str) -> None:
    with pytest.raises(InvalidSecret):
        decode_secret(secret)


def sign(app: SandboxApp, message_id: str, body: bytes) -> dict[str, str]:
    timestamp = str(int(app.clock.now()))
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.digest(base64.b64decode(SECRET[6:]), content, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "content-type": "application/json",
    }


async def test_a_delivery_is_recorded_with_headers_body_and_verdict(app: SandboxApp) -> None:
    await app.http.put("/_sandbox/hooks/team", json={"secret": SECRET})
    body = b'{"type":"report.completed"}'
    headers = sign(app, "m1", body) | {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}
    answer = await app.http.post("/hooks/team", content=body, headers=headers)
    assert answer.status_code == 200
    (record,) = await app.received(hook="team")
    assert (record["signature"], record["webhook_id"], record["status"]) == ("valid", "m1", 200)
    assert record["body"] == body.decode()
    assert record["json"] == {"type": "report.completed"}
    assert record["traceparent"] == headers["traceparent"]
    assert record["headers"]["webhook-signature"] == headers["webhook-signature"]


async def test_a_file_is_judged_by_what_was_signed_of_it(app: SandboxApp) -> None:
    await app.http.put("/_sandbox/hooks/team", json={"secret": SECRET, "reject_invalid": True})
    film = bytes(range(256)) * 100
    document = json.dumps({"bytes": len(film), "sha256": hashlib.sha256(film).hexdigest()})
    headers = sign(app, "rec_1", document.encode()) | {"carillon-file": document}
    spoilt = headers | {"carillon-file": document.replace("25600", "25601")}
    unsigned = sign(app, "rec_1", b"[]") | {"carillon-file": "[]"}
    answers = [
        (await app.http.post("/hooks/team", content=content, headers=sent)).status_code
        for content, sent in ((film, headers), (film + b"x", headers), (film, spoilt), (film, unsigned))
    ]
    assert answers == [200, 401, 401, 401]


async def test_repeats_of_one_id_are_counted_for_each_hook(app: SandboxApp) -> None:
    for hook, message_id in (("a", "m1"), ("a", "m2"), ("a", "m1"), ("b", "m1"), ("a", "m1")):
        await app.http.post(f"/hooks/{hook}", content=b"{}", headers={"webhook-id": message_id})
    records = await app.received(kind="webhook")
    assert [record["duplicate"] for record in records] == [False, False, True, False, True]
    assert [record["times_accepted"] for record in records] == [1, 1, 2, 1, 3]
    hooks = (await app.http.get("/_sandbox/hooks")).json()
    assert (hooks["a"]["attempts"], hooks["a"]["duplicates"], hooks["b"]["duplicates"]) == (4, 2, 0)


async def test_a_retry_after_a_failure_is_no_duplicate(app: SandboxApp) -> None:
    await app.fault("server_error", match={"hook": "a"}, times=1)
    answers = [await app.http.post("/hooks/a", content=b"{}", headers={"webhook-id": "m"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    first, second = await app.received(hook="a")
    assert (first["status"], first["fault"], second["duplicate"]) == (503, "server_error", False)


async def test_a_hook_answers_as_it_is_told(app: SandboxApp) -> None:
    await app.http.put("/_sandbox/hooks/gone", json={"status": 410})
    await app.http.put("/_sandbox/hooks/busy", json={"status": 429, "retry_after": 30})
    assert (await app.http.post("/hooks/gone", content=b"{}")).status_code == 410
    busy = await app.http.post("/hooks/busy", content=b"{}")
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "30")
    await app.http.put("/_sandbox/hooks/strict", json={"secret": SECRET, "reject_invalid": True})
    assert (await app.http.post("/hooks/strict", content=b"{}")).status_code == 401
    good = await app.http.post("/hooks/strict", content=b"{}", headers=sign(app, "m", b"{}"))
    assert good.status_code == 200


async def test_the_secret_is_never_shown(app: SandboxApp) -> None:
    answer = await app.http.put("/_sandbox/hooks/team", json={"secret": SECRET})
    assert answer.json()["has_secret"] is True
    assert SECRET[6:] not in answer.text + (await app.http.get("/_sandbox/hooks")).text


async def test_bodies_that_are_not_text_are_kept_too(app: SandboxApp) -> None:
    await app.http.post("/hooks/raw", content=b"\xff\x00", headers={"content-type": "application/json"})
    (record,) = await app.received(hook="raw")
    assert base64.b64decode(record["body_base64"]) == b"\xff\x00"
    assert "json" not in record


async def test_only_posts_are_taken(app: SandboxApp) -> None:
    assert (await app.http.get("/hooks/team")).status_code == 405


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"secret": "whsec_?"}, "secret"),
        ({"secrets": "whsec_x"}, "secret"),
        ({"status": 99}, "status"),
        ({"retry_after": -1}, "retry_after"),
    ],
)
async def test_a_hook_that_cannot_be_set_up(app: SandboxApp, document: dict[str, object], field: str) -> None:
    answer = await app.http.put("/_sandbox/hooks/team", json=document)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == field
