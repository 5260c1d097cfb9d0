"""Every documented error of TikTok's two APIs, and what it asks of us."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Consequence
from common.refusals import tiktok_business as business
from common.refusals import tiktok_organic as organic
from common.refusals.http import UNREADABLE
from common.refusals.tiktok_business import BusinessAnswer, BusinessFault, Limit
from common.refusals.tiktok_organic import OrganicFault

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


def _business(payload: object, *, status: int = 200, renewable: bool = False) -> BusinessFault:
    fault = business.read(status, json.dumps(payload).encode(), renewable=renewable)
    assert isinstance(fault, BusinessFault)
    return fault


def _organic(payload: object, status: int) -> OrganicFault:
    fault = organic.read(status, json.dumps(payload).encode())
    assert isinstance(fault, OrganicFault)
    return fault


class TestBusiness:
    @pytest.mark.parametrize(("code", "consequence"), TABLE)
    @pytest.mark.parametrize("status", [200, 500])
    def test_the_table_whatever_the_status(self, code: int, consequence: Consequence, status: int) -> None:
        assert business.consequence_of(code, status=status) is consequence

    @pytest.mark.parametrize(("code", "consequence"), TABLE)
    def test_a_token_that_can_be_renewed_is(self, code: int, consequence: Consequence) -> None:
        renewed = REFRESH if code in (40102, 40105) else consequence
        assert business.consequence_of(code, renewable=True) is renewed

    def test_every_entry_of_the_table_is_looked_at(self) -> None:
        assert business.BY_CODE.keys() <= {code for code, _ in TABLE}

    @pytest.mark.parametrize(
        ("status", "consequence"),
        [(200, INVALID), (401, REAUTH), (403, PERM), (404, GONE), (429, RATE), (500, T), (503, T)],
    )
    def test_an_unknown_code_goes_by_the_http_status(self, status: int, consequence: Consequence) -> None:
        assert business.consequence_of(77777, status=status) is consequence

    def test_an_unknown_refusal_of_a_renewable_token_renews_it(self) -> None:
        assert business.consequence_of(77777, status=401, renewable=True) is REFRESH

    def test_an_envelope_is_read_whole(self) -> None:
        payload = {"code": 40002, "message": "Time  format\nis wrong", "request_id": "2026", "data": {}}
        assert _business(payload) == BusinessFault(INVALID, "40002", "Time format is wrong", "2026")

    def test_data_of_a_part_is_data(self) -> None:
        body = json.dumps({"code": 20001, "request_id": "1", "data": {"list": [1]}}).encode()
        assert business.read(200, body) == BusinessAnswer({"list": [1]}, True, "1")

    @pytest.mark.parametrize("data", [None, [], "x"])
    def test_success_without_data_has_none(self, data: object) -> None:
        body = json.dumps({"code": 0, "data": data}).encode()
        assert business.read(200, body) == BusinessAnswer({})

    @pytest.mark.parametrize(
        ("code", "message", "app_wide", "limit"),
        [
            (40100, "App reaches the QPS limit.", True, Limit.SECOND),
            (40100, "App reaches the QPM limit.", True, Limit.MINUTE),
            (40100, "App reaches the QPD limit.", True, Limit.DAY),
            (40016, "Too many requests. Please retry later.", True, None),
            (40132, "", False, None),
            (40133, "Advertiser (7)'s QPS (11) reaches QPS limit 10 for current path", False, Limit.SECOND),
            (40002, "the QPS field is unknown", False, None),
        ],
    )
    def test_limits_are_told_apart_by_their_words(
        self, code: int, message: str, app_wide: bool, limit: Limit | None
    ) -> None:
        fault = _business({"code": code, "message": message})
        assert (fault.app_wide, fault.limit) == (app_wide, limit)

    @pytest.mark.parametrize(
        ("status", "body", "consequence"),
        [
            (200, b'{"code":0,"data":{"list":[{"dimen', T),
            (200, b"", T),
            (200, b"<html>Sign in to the network</html>", INVALID),
            (200, b"[]", INVALID),
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
        fault = business.read(status, body)
        assert isinstance(fault, BusinessFault)
        assert (fault.consequence, fault.code) == (consequence, UNREADABLE)

    @given(status=st.integers(100, 599), body=st.binary(max_size=60))
    def test_anything_can_be_read(self, status: int, body: bytes) -> None:
        assert isinstance(business.read(status, body), BusinessAnswer | BusinessFault)


class TestWaits:
    def test_each_limit_has_its_own(self) -> None:
        now = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
        waits = [business.seconds_to_wait(limit, now) for limit in (Limit.SECOND, Limit.MINUTE, None)]
        assert waits == [1.0, 300.0, 60.0]

    @given(
        st.integers(min_value=1_700_000_000, max_value=1_900_000_000),
        st.integers(-12, 14),
    )
    def test_a_day_ends_at_midnight_utc_whatever_zone_now_is_in(self, second: int, hours: int) -> None:
        now = datetime.fromtimestamp(second, timezone(timedelta(hours=hours)))
        wait = business.seconds_to_wait(Limit.DAY, now)
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
        fault = _organic({"data": {}, "error": error}, status)
        assert fault == OrganicFault(consequence, code, "told by TikTok", "2026")

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
    def test_the_words_of_the_token_endpoints_whatever_the_status(
        self, error: str, consequence: Consequence, status: int
    ) -> None:
        payload = {"error": error, "error_description": "No.", "log_id": "2026"}
        assert _organic(payload, status) == OrganicFault(consequence, error, "No.", "2026")

    @pytest.mark.parametrize(
        "payload",
        [{"data": {}, "error": {"code": "ok", "message": "", "log_id": "1"}}, {"access_token": "act.1"}, {}],
    )
    def test_success_is_the_object(self, payload: dict[str, object]) -> None:
        assert organic.read(200, json.dumps(payload).encode()) == payload

    @pytest.mark.parametrize(
        ("status", "body", "consequence"),
        [
            (200, b'{"data":{"videos":[{"id', T),
            (200, b"<html>hello</html>", INVALID),
            (200, b'"x"', INVALID),
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
        fault = organic.read(status, body)
        assert isinstance(fault, OrganicFault)
        assert (fault.consequence, fault.code) == (consequence, UNREADABLE)

    @given(status=st.integers(100, 599), body=st.binary(max_size=60))
    def test_anything_can_be_read(self, status: int, body: bytes) -> None:
        organic.read(status, body)
