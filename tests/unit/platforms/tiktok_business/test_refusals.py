"""Every documented error of TikTok's two APIs, and what it asks of us."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Consequence
from platforms.calls.answers import UNREADABLE, Refusal
from platforms.tiktok_business import refusals as business
from platforms.tiktok_business.limits import Limit, limit_in, seconds_to_wait
from platforms.tiktok_organic import refusals as organic

T, RATE, SPLIT, REFRESH = Consequence.TRANSIENT, Consequence.RATE, Consequence.SPLIT, Consequence.REFRESH
PERM, GONE, INVALID, REAUTH = Consequence.PERM, Consequence.GONE, Consequence.INVALID, Consequence.REAUTH

CODES = {
    RATE: [40016, 40100, 40132, 40133],
    T: [40201, 40202, 40902, 40903, 40913, 50000, 50002, 51000, 51305, 51999, 60001],
    SPLIT: [40011],
    REAUTH: [40102, 40103, 40105, 40106, 40107, 40110, 40114, 40119, 40120],
    PERM: [40001, 40003, 40113, 40118, 40124, 40125, 40130, 40131, 41000],
    GONE: [40007, 40300, 40301, 40302],
    INVALID: [
        *(40000, 40002, 40006, 40008, 40009, 40010, 40013, 40014, 40050, 40051, 40101, 40104, 40108),
        *(40115, 40116, 40117, 40200, 40400, 40700, 41001, 41002),
    ],
}
TABLE = [(code, consequence) for consequence, codes in CODES.items() for code in codes]


class TestBusiness:
    @pytest.mark.parametrize(("code", "consequence"), TABLE)
    @pytest.mark.parametrize("status", [200, 500])
    def test_the_table_whatever_the_status(self, code: int, consequence: Consequence, status: int) -> None:
        assert business.consequence_of(code, status=status) is consequence
        body = json.dumps({"code": code, "message": "told  by\nTikTok", "data": {}}).encode()
        assert business.read(status, body) == Refusal(consequence, str(code), "told by TikTok")

    @pytest.mark.parametrize(("code", "consequence"), TABLE)
    def test_a_creators_token_is_renewed(self, code: int, consequence: Consequence) -> None:
        renewed = REFRESH if code in (40102, 40105) else consequence
        assert business.consequence_of(code, of_creator=True) is renewed

    def test_every_entry_of_the_table_is_looked_at(self) -> None:
        assert business.BY_CODE.keys() <= {code for code, _ in TABLE}

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
    def test_what_is_no_envelope_goes_by_status_and_looks(
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
    @pytest.mark.parametrize(
        ("message", "limit"),
        [
            ("App reaches the QPS limit.", Limit.SECOND),
            ("App reaches the QPM limit.", Limit.MINUTE),
            ("App reaches the QPD limit.", Limit.DAY),
            ("Advertiser (7)'s QPS (11) reaches QPS limit 10 for current path", Limit.SECOND),
            ("Too many requests. Please retry later.", None),
            ("", None),
        ],
    )
    def test_they_are_told_apart_by_their_words(self, message: str, limit: Limit | None) -> None:
        assert limit_in(message) is limit

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
    @pytest.mark.parametrize(
        ("code", "status", "consequence"),
        [
            ("access_token_invalid", 401, REFRESH),
            ("scope_not_authorized", 401, PERM),
            ("scope_permission_missed", 400, PERM),
            ("rate_limit_exceeded", 429, RATE),
            ("internal_error", 500, T),
            ("invalid_params", 400, INVALID),
            ("invalid_file_upload", 400, INVALID),
            ("access_token_invalid", 200, REFRESH),
            ("something_new", 401, REFRESH),
            ("something_new", 403, PERM),
            ("something_new", 404, GONE),
            ("something_new", 429, RATE),
            ("something_new", 500, T),
            ("something_new", 400, INVALID),
        ],
    )
    def test_the_words_of_the_resources(self, code: str, status: int, consequence: Consequence) -> None:
        error = {"code": code, "message": "told  by\nTikTok", "log_id": "2026"}
        body = json.dumps({"data": {}, "error": error}).encode()
        assert organic.read(status, body) == Refusal(consequence, code, "told by TikTok")

    @pytest.mark.parametrize(
        ("error", "consequence"),
        [
            ("invalid_grant", REAUTH),
            ("access_denied", REAUTH),
            ("invalid_client", INVALID),
            ("invalid_request", INVALID),
            ("invalid_scope", INVALID),
            ("unauthorized_client", INVALID),
            ("unsupported_grant_type", INVALID),
            ("server_error", T),
            ("rate_limit_exceeded", RATE),
        ],
    )
    @pytest.mark.parametrize("status", [200, 400, 401])
    def test_the_words_of_the_token_endpoint_whatever_the_status(
        self, error: str, consequence: Consequence, status: int
    ) -> None:
        payload = {"error": error, "error_description": "No.", "log_id": "2026"}
        assert organic.read_oauth(status, json.dumps(payload).encode()) == Refusal(consequence, error, "No.")

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
    def test_what_is_no_envelope_goes_by_status_and_looks(
        self, status: int, body: bytes, consequence: Consequence
    ) -> None:
        refusal = organic.read(status, body)
        assert isinstance(refusal, Refusal)
        assert refusal.consequence is consequence

    @given(status=st.integers(100, 599), body=st.binary(max_size=60))
    def test_anything_can_be_read(self, status: int, body: bytes) -> None:
        assert isinstance(organic.read(status, body), dict | Refusal)
