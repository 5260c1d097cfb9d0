"""A tenant's own S3-compatible bucket.

The library signs the address of each file, and our own client, whose guard checks every address it connects
to, sends it there: an endpoint is a tenant's choice, and the library would connect wherever its name leads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from common.errors import Consequence
from common.recordings.settings import S3Target
from common.recordings.store import RecordingStore
from executor.recordings.processing.claims import ClaimedRecording
from executor.recordings.steps.upload_names import OutgoingFile, prefixed
from executor.recordings.targets.base import Parcel, Target, UploadFailed
from executor.recordings.targets.exchange import send
from platforms.calls.answers import by_status

if TYPE_CHECKING:
    from obstore.store import S3Credential

LARGEST = 5 * 1024**3
"""Bytes a bucket takes in one request."""
LINK_LIFE = timedelta(hours=12)
"""A request must begin within it; how long the file then takes does not matter."""
ANSWER_SECONDS = 120.0
"""Until a bucket has answered, once it has the whole file."""
DEFAULT_REGION = "us-east-1"
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,60})</Code>")
_NOT_ALLOWED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"})
_SLOW_DOWN = frozenset({"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "InternalError"})


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """A bucket and the key to it."""

    bucket: str
    region: str
    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def read(cls, settings: Mapping[str, Any], credentials: Mapping[str, Any]) -> BucketAccess:
        """From a connection; raises UploadFailed, which names what is missing."""
        values = {
            name: str(source.get(name) or "")
            for source, names in (
                (settings, ("bucket", "region", "endpoint")),
                (credentials, ("access_key_id", "secret_access_key")),
            )
            for name in names
        }
        for name in ("bucket", "access_key_id", "secret_access_key"):
            if not values[name]:
                raise UploadFailed(f"the connection has no {name}", Consequence.INVALID, code="incomplete")
        region = values["region"] or DEFAULT_REGION
        endpoint = values["endpoint"] or f"https://s3.{region}.amazonaws.com"
        return cls(
            values["bucket"],
            region,
            endpoint.rstrip("/"),
            values["access_key_id"],
            values["secret_access_key"],
        )


class Bucket(Target):
    """One bucket, below one prefix."""

    def __init__(
        self, http: httpx.AsyncClient, store: RecordingStore, access: BucketAccess, target: S3Target
    ) -> None:
        self._http = http
        self._store = store
        self._prefix = target.prefix
        self._signer = signer(access)

    def places(self, recording: ClaimedRecording, files: Sequence[OutgoingFile]) -> Mapping[str, str]:
        """Keys of objects."""
        return prefixed(recording, self._prefix, files)

    async def send(self, parcel: Parcel, file: OutgoingFile) -> None:
        """One PUT; done again it puts the same object in the same place."""
        if file.bytes > LARGEST:
            raise UploadFailed(
                f"{file.name} has {file.bytes} bytes; a bucket takes {LARGEST} at a time",
                Consequence.SPLIT,
                code="too_large",
            )
        url = await self._link(parcel.places[file.name])
        headers = {"content-type": file.type, "content-length": str(file.bytes)}
        content = self._store.read(file.path)
        answer = await send(self._http, "PUT", url, content, headers, patience=ANSWER_SECONDS)
        if answer.status != HTTPStatus.OK:
            raise refusal(answer.status, answer.body)

    async def _link(self, key: str) -> httpx.URL:
        try:
            return httpx.URL(await obstore.sign_async(self._signer, "PUT", key, LINK_LIFE))
        except (BaseError, ValueError, httpx.InvalidURL) as error:
            raise UploadFailed(
                f"the bucket's address cannot be signed ({type(error).__name__})",
                Consequence.INVALID,
                code="unsignable",
            ) from error


def signer(access: BucketAccess) -> S3Store:
    """Signs addresses and connects to nothing. Raises UploadFailed.

    Everything is given, because the library would take what is not from this process's environment, where
    the key to Carillon's own bucket may be.
    """

    def credential() -> S3Credential:
        return {
            "access_key_id": access.access_key_id,
            "secret_access_key": access.secret_access_key,
            "token": None,
            "expires_at": None,
        }

    try:
        return S3Store(
            access.bucket,
            config={
                "endpoint": access.endpoint,
                "aws_endpoint_url_s3": access.endpoint,
                "region": access.region,
                "virtual_hosted_style_request": False,
                "skip_signature": False,
                "s3_express": False,
            },
            client_options={"allow_http": True},
            credential_provider=credential,
        )
    except (BaseError, ValueError) as error:
        raise UploadFailed(
            f"the bucket's settings cannot be used ({type(error).__name__})",
            Consequence.INVALID,
            code="unusable",
        ) from error


def refusal(status: int, body: bytes) -> UploadFailed:
    """What an answer of a bucket asks of us. Pure."""
    found = _CODE.search(body[:4096])
    code = found[1].decode() if found else str(status)
    if code in _NOT_ALLOWED:
        consequence = Consequence.PERM
    elif code in _SLOW_DOWN:
        consequence = Consequence.TRANSIENT
    elif status == HTTPStatus.NOT_FOUND or HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        consequence = Consequence.INVALID
    else:
        consequence = by_status(status)
    return UploadFailed(f"the bucket answered {status} ({code})", consequence, code=code, http_status=status)
