"""What TikTok's two APIs refuse beyond the vendor's rules: creators' tokens, malformed envelopes, waits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Consequence
from platforms.calls.answers import UNREADABLE, Refusal
from platforms.tiktok_business import refusals as business
from platforms.tiktok_business.limits import Limit, seconds_to_wait
from platforms.tiktok_organic import refusals as organic

T, RATE, SPLIT, REFRESH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REFRESH
PERM, GONE, INVALID, REAUTH = Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.REAUTH


class TestBusiness:
    @pytest.mark.parametrize(
        ("code", "consequence"), [(40102, REFRESH), (40105, REFRESH), (40106, REAUTH), (40100, RATE)]
    )
    def test_a_creators_token_is_renewed(self, code: int, consequence: Consequence) -> None:
        assert business.consequence_of(code, of_creator=True) is consequence

    @pytest.mark.parametrize(
        ("status", "consequence"),
        [(200, INVALID), (401, REAUTH), (403, PERM), (404, GONE), (429, RATE), (500, T), (503, T)],
    )
    def test_an_unknown_code_goes_by_the_http_status(self, status: int, consequence: Consequence) -> None:
        assert business.consequence_of(77777, status=status) is consequence

    def test_an_unknown_refusal_of_a_creators_token_renews_it(self) -> None:
        assert business.consequence_of(77777, status=401, of_creator=True) is REFRESH

    @pytest.mark.parametrize("code", [0, 20001])
    def test_success_is_the_envelope(self, code: int) -> None:
        envelope = {"code": code, "request_id": "1", "data": {"list": [1]}}
        assert business.read(200, json.dumps(envelope).encode()) == envelope

    @pytest.mark.parametrize(
        ("status", "body", "consequence"),
        [
            (200, b'{"code":0,"data":{"list":[{"dimen', T),
            (200, b"", T),
            (200, b"Service Unavailable", T),
            (200, b"<html>Sign in to the network</html>", INVALID),
            (200, b'{"code":"0"}', INVALID),
            (200, b'{"code":true}', INVALID),
            (404, b"404 page not found", INVALID),
            (404, b"{}", GONE),
            (429, b"<html>slow down</html>", RATE),
            (502, b"<html>bad gateway</html>", T),
            (503, b"{}", T),
        ],
    )
    def test_an_answer_without_an_envelope_is_judged_by_its_status(
        self, status: int, body: bytes, consequence: Consequence
    ) -> None:
        refusal = business.read(status, body)
        assert isinstance(refusal, Refusal)
        assert refusal.consequence is consequence
        assert refusal.code in (UNREADABLE, str(status))

    @given(status=st.integers(100, 599), body=st.binary(max_size=60))
    def test_anything_can_be_read(self, status: int, body: bytes) -> None:
        assert isinstance(business.read(status, body), dict | Refusal)


class TestLimits:
    def test_each_has_its_own_wait(self) -> None:
        now = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
        waits = [seconds_to_wait(limit, now) for limit in (Limit.SECOND, Limit.MINUTE, Limit.DAY, None)]
        assert waits == [1.0, 300.0, 5400.0, 60.0]

    @given(st.integers(min_value=1_700_000_000, max_value=1_900_000_000), st.integers(-12, 14))
    def test_a_day_ends_at_midnight_utc_whatever_zone_now_is_in(self, second: int, hours: int) -> None:
        now = datetime.fromtimestamp(second, timezone(timedelta(hours=hours)))
        wait = seconds_to_wait(Limit.DAY, now)
        assert 0 < wait <= 86_400
        end = (now + timedelta(seconds=wait)).astimezone(UTC)
        assert (end.hour, end.minute, end.second, end.microsecond) == (0, 0, 0, 0)


class TestOrganic:
    def test_success_is_the_object(self) -> None:
        told = {"data": {}, "error": {"code": "ok", "message": "", "log_id": "1"}}
        assert organic.read(200, json.dumps(told).encode()) == told
        granted = {"access_token": "act.1"}
        assert organic.read_oauth(200, json.dumps(granted).encode()) == granted

    @pytest.mark.parametrize(
        ("status", "body", "consequence"),
        [
            (200, b'{"data":{"videos":[{"id', T),
            (200, b"<html>hello</html>", INVALID),
            (200, b'{"error":{"code":7}}', INVALID),
            (401, b"{}", REFRESH),
            (404, b"Unsupported path(Janus)", INVALID),
            (429, b"<html>slow down</html>", RATE),
            (500, b'{"error":{"code":"ok"}}', T),
            (502, b"<html>bad gateway</html>", T),
        ],
    )
    def test_an_answer_without_an_envelope_is_judged_by_its_status(
        self, status: int, body: bytes, consequence: Consequence
    ) -> None:
        refusal = organic.read(status, body)
        assert isinstance(refusal, Refusal)
        assert refusal.consequence is consequence

    @given(status=st.integers(100, 599), body=st.binary(max_size=60))
    def test_anything_can_be_read(self, status: int, body: bytes) -> None:
        assert isinstance(organic.read(status, body), dict | Refusal)
