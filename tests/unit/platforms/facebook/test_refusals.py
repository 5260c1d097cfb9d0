"""Every documented error of Facebook, and what it asks of us."""

from __future__ import annotations

import json

import pytest

from common.errors import Consequence
from platforms.facebook.refusals import GraphFault, consequence_of, read

T, RATE, SPLIT, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REAUTH
PERM, GONE, INVALID, BLOCKED = Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.BLOCKED


@pytest.mark.parametrize(
    ("code", "subcode", "consequence"),
    [
        *((code, None, RATE) for code in (4, 17, 32, 341, 613, *range(80000, 80007), 80008, 80009, 80014)),
        (4, 1504022, RATE),
        (4, 1504039, RATE),
        (17, 2446079, RATE),
        (80004, 2446079, RATE),
        (613, 1487742, RATE),
        (613, 1996, RATE),
        (613, 5044001, RATE),
        *((code, None, T) for code in (1, 2, 104, 960, 2650)),
        (2, 1504043, T),
        (2, 1504044, T),
        (-2, 2490547, T),
        (1, 99, SPLIT),
        (2, 1504038, SPLIT),
        (100, 1504018, SPLIT),
        (100, 1487534, SPLIT),
        (102, None, REAUTH),
        (190, None, REAUTH),
        *((190, subcode, REAUTH) for subcode in (458, 459, 460, 463, 464, 467, 492, 493)),
        (102, 463, REAUTH),
        *((code, None, PERM) for code in (3, 10, 200, 250, 294, 299)),
        (33, None, GONE),
        (803, None, GONE),
        (100, 33, GONE),
        *((code, None, INVALID) for code in (100, 506, 2500, 2601, 3001, 3018)),
        (2, 1504041, INVALID),
        (2, 1504042, INVALID),
        (3001, 1504028, INVALID),
        (100, 36009, INVALID),
        (368, None, BLOCKED),
    ],
)
def test_the_table(code: int, subcode: int | None, consequence: Consequence) -> None:
    assert consequence_of(code, subcode) is consequence


def test_a_known_code_is_believed_more_than_its_transient_flag_and_its_status() -> None:
    assert consequence_of(190, None, is_transient=True, status=500) is REAUTH
    assert consequence_of(100, 424242, is_transient=True, status=503) is INVALID


@pytest.mark.parametrize(
    ("status", "consequence"),
    [
        (400, INVALID),
        (401, REAUTH),
        (403, PERM),
        (404, GONE),
        (408, T),
        (422, INVALID),
        (429, RATE),
        (500, T),
        (503, T),
    ],
)
def test_an_unknown_code_goes_by_the_http_status(status: int, consequence: Consequence) -> None:
    assert consequence_of(7777, None, status=status) is consequence
    assert consequence_of(7777, None, status=status, is_transient=True) is T


def test_two_codes_need_their_message() -> None:
    less = "Please reduce the amount of data you're asking for, then retry your request"
    assert consequence_of(1, None, message=less, status=500) is SPLIT
    no_token = "An active access token must be used to query information about the current user."
    assert consequence_of(2500, None, message=no_token) is REAUTH


def _fault(status: int, body: object) -> GraphFault:
    answer = read(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(answer, GraphFault)
    return answer


def test_an_envelope_is_read_whole() -> None:
    fault = _fault(
        400,
        {
            "error": {
                "message": "(#17)  User request\nlimit reached",
                "code": 17,
                "error_subcode": 2446079,
                "fbtrace_id": "Axyz",
            }
        },
    )
    assert fault == GraphFault(RATE, "17/2446079", "(#17) User request limit reached", False, "Axyz")


def test_an_error_with_status_200_is_an_error() -> None:
    assert _fault(200, {"error": {"code": 190, "message": "expired"}}).consequence is REAUTH
    assert _fault(200, {"success": False}).consequence is INVALID


@pytest.mark.parametrize("code", [4, 341])
def test_a_limit_of_the_app_is_told_from_one_of_an_account(code: int) -> None:
    assert _fault(403, {"error": {"code": code}}).app_wide
    assert not _fault(403, {"error": {"code": 17}}).app_wide


@pytest.mark.parametrize(
    ("status", "body", "consequence"),
    [
        (200, b'{"data":[{"spend":"12', T),
        (200, b"", T),
        (200, b"  \n", T),
        (200, b"Service Unavailable", T),
        (200, b"<html>Sign in to the hotel's network</html>", INVALID),
        (200, b"[1, 2]", INVALID),
        (200, b"null", INVALID),
        (302, b"<html>moved</html>", INVALID),
        (400, b'{"error":', INVALID),
        (401, b"<html>proxy says no</html>", INVALID),
        (403, b"<html>proxy says no</html>", INVALID),
        (404, b"not here", INVALID),
        (429, b"slow down", RATE),
        (502, b"<html>Bad Gateway</html>", T),
        (503, b"", T),
        (500, b"[]", T),
        (200, b"[" * 100_000, T),
        (200, b"\xff\xfe\x00", INVALID),
    ],
)
def test_what_is_no_json_object(status: int, body: bytes, consequence: Consequence) -> None:
    fault = _fault(status, body)
    assert fault.consequence is consequence
    assert str(status) in fault.message


@pytest.mark.parametrize(
    ("error", "consequence", "code"),
    [
        ({}, INVALID, "400"),
        ("no envelope", INVALID, "400"),
        ({"code": "190", "error_subcode": "463"}, REAUTH, "190/463"),
        ({"code": True}, INVALID, "400"),
        ({"code": [1]}, INVALID, "400"),
        ({"code": 190, "message": {"not": "text"}}, REAUTH, "190"),
        ({"code": 190, "error_subcode": {}}, REAUTH, "190"),
    ],
)
def test_a_malformed_envelope(error: object, consequence: Consequence, code: str) -> None:
    fault = _fault(400, {"error": error})
    assert (fault.consequence, fault.code) == (consequence, code)


def test_a_failing_status_without_an_envelope_is_a_failure() -> None:
    assert _fault(404, {"data": []}).consequence is GONE
    assert _fault(500, {}).consequence is T


def test_an_answer_is_handed_on() -> None:
    assert read(200, b'{"data":[]}') == {"data": []}
    assert read(200, b'{"success":true}') == {"success": True}
