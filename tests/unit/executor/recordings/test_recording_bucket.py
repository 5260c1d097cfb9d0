"""A team's bucket: how its requests are signed, checked against another implementation, and its refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import obstore
import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from common.errors import Consequence
from executor.recordings.targets.base import UploadFailed
from executor.recordings.targets.bucket import BucketAccess, refusal, signer

KEY = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("", "eu-central-1"),
        ("https://minio.example:9000", "us-east-1"),
        ("https://account.r2.cloudflarestorage.com/", "auto"),
        ("http://storage.example", ""),
    ],
)
@pytest.mark.parametrize("key", ["2026/Weekly call/film.mp4", "Müller & Söhne + 100% #1/a=b?.txt", "a"])
async def test_signatures_are_those_of_another_implementation(
    endpoint: str, region: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = BucketAccess.read({"bucket": "team", "endpoint": endpoint, "region": region}, KEY)
    url = await obstore.sign_async(signer(access), "PUT", key, timedelta(hours=12))
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    then = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: then)
    request = AWSRequest(method="PUT", url=f"{parts.scheme}://{parts.netloc}{parts.path}")
    credentials = Credentials(KEY["access_key_id"], KEY["secret_access_key"])
    auth.S3SigV4QueryAuth(credentials, "s3", region or "us-east-1", expires=43_200).add_auth(request)
    assert dict(parse_qsl(urlsplit(request.url).query)) == query
    assert parts.path.startswith("/team/")


def test_missing_permissions_of_a_connection_are_named() -> None:
    for settings, credentials, missing in (
        ({}, KEY, "bucket"),
        ({"bucket": "team"}, {}, "access_key_id"),
        ({"bucket": "team"}, {"access_key_id": "x"}, "secret_access_key"),
    ):
        with pytest.raises(UploadFailed, match=missing) as caught:
            BucketAccess.read(settings, credentials)
        assert caught.value.consequence is Consequence.INVALID


def test_no_secret_is_in_what_is_printed() -> None:
    access = BucketAccess.read({"bucket": "team"}, KEY)
    assert KEY["secret_access_key"] not in repr(access)


@pytest.mark.parametrize(
    ("status", "code", "consequence"),
    [
        (403, "AccessDenied", Consequence.PERM),
        (403, "SignatureDoesNotMatch", Consequence.PERM),
        (403, "RequestTimeTooSkewed", Consequence.TRANSIENT),
        (404, "NoSuchBucket", Consequence.INVALID),
        (301, "PermanentRedirect", Consequence.INVALID),
        (400, "RequestTimeout", Consequence.TRANSIENT),
        (503, "SlowDown", Consequence.TRANSIENT),
        (500, "InternalError", Consequence.TRANSIENT),
        (429, "TooManyRequests", Consequence.RATE),
        (400, "EntityTooLarge", Consequence.INVALID),
    ],
)
def test_refusals_by_the_buckets_table(status: int, code: str, consequence: Consequence) -> None:
    error = refusal(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())
    assert (error.consequence, error.code, error.http_status) == (consequence, code, status)


def test_a_refusal_without_a_body_is_classified_by_status() -> None:
    assert refusal(403, b"").consequence is Consequence.PERM
    assert refusal(502, b"<html>").consequence is Consequence.TRANSIENT
