"""What Facebook's errors mean beyond the vendor's rules: precedence, unknown codes, malformed envelopes."""

from __future__ import annotations

import json

import pytest

from common.errors import Consequence
from platforms.facebook.refusals import GraphFault, consequence_of, read

T, RATE, SPLIT, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REAUTH
PERM, GONE, INVALID, BLOCKED = Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.BLOCKED


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
def test_app_limits_are_distinguished_from_account_limits(code: int) -> None:
    assert _fault(403, {"error": {"code": code}}).app_wide
    assert not _fault(403, {"error": {"code": 17}}).app_wide


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
