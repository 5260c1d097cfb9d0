"""The error tree. Every error carries its consequence.

    CarillonError
    ├── ConfigurationError      a setting is missing or unsafe; the service does not start
    ├── Unreachable             a server that a service needs to start does not answer
    ├── MalformedEvent          a record no consumer can read; goes to the dead letters
    ├── RequestError            an API request that is refused
    │   ├── Unauthenticated     401
    │   ├── Forbidden           403
    │   ├── NotFound            404
    │   ├── Conflict            409
    │   ├── PayloadTooLarge     413
    │   └── Unprocessable       422, names each field
    ├── BlockedAddress          an outbound address the SSRF guard refuses
    └── RemoteError             another service answered with an error
        ├── PlatformError       Facebook, TikTok, Zoom
        └── ChannelError        Telegram, webhooks

`permanent` means that a retry cannot help. One place each decides what to do about it: `common.retry` for
work, the API's problem handler for requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Consequence(StrEnum):
    """What a remote error asks of us; each platform has one table from its own codes to these."""

    TRANSIENT = "transient"  # back off, retry
    RATE = "rate"  # wait as told, and hold back everything that shares the bucket
    SPLIT = "split"  # ask for less
    REFRESH = "refresh"  # renew the token once, then try again
    REAUTH = "reauth"  # a person must reconnect
    PERM = "perm"  # a permission is missing
    INVALID = "invalid"  # this input will never be accepted
    GONE = "gone"  # the target no longer exists or refuses us
    BLOCKED = "blocked"  # blocked for policy: hours, then a person


_PERMANENT = frozenset(
    {Consequence.SPLIT, Consequence.REAUTH, Consequence.PERM, Consequence.INVALID, Consequence.GONE}
)


class CarillonError(Exception):
    """Anything Carillon raises on purpose."""

    permanent: bool = True
    status_code: int = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ConfigurationError(CarillonError):
    """A setting is missing or unsafe."""


class Unreachable(CarillonError):
    """A server that this service cannot do without does not answer. Says which."""

    permanent = False


class MalformedEvent(CarillonError):
    """A record that is not a valid event of a type its consumer knows.

    `reason` is a short stable code (`not_json`, `unknown_type`, `too_large`, …) for metrics and headers.
    """

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


class BlockedAddress(CarillonError):
    """The SSRF guard refuses to connect there."""

    status_code = 422
    title = "Address not allowed"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a request and what is wrong with it. `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class RequestError(CarillonError):
    """A request that is refused; becomes an RFC 9457 problem."""

    status_code = 400
    title = "Bad request"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class Unauthenticated(RequestError):
    """No valid API key came with the request."""

    status_code = 401
    title = "Not authenticated"


class Forbidden(RequestError):
    """The key is valid and may not do this."""

    status_code = 403
    title = "Forbidden"


class NotFound(RequestError):
    """No such thing, or not one of this tenant's; the two are indistinguishable on purpose."""

    status_code = 404
    title = "Not found"


class Conflict(RequestError):
    """The thing's present state does not allow this."""

    status_code = 409
    title = "Conflict"


class PayloadTooLarge(RequestError):
    """The request body exceeds the limit."""

    status_code = 413
    title = "Request too large"


class Unprocessable(RequestError):
    """The request is well-formed and its content is not acceptable."""

    status_code = 422
    title = "Validation failed"


class RemoteError(CarillonError):
    """A platform or channel answered with an error, or not at all.

    `retry_after` is in seconds, as advertised by the vendor; `code` is the vendor's own code.
    """

    def __init__(
        self,
        detail: str,
        consequence: Consequence,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.consequence = consequence
        self.permanent = consequence in _PERMANENT
        self.code = code
        self.http_status = http_status
        self.retry_after = retry_after


class PlatformError(RemoteError):
    """Facebook, TikTok or Zoom answered with an error. `connection_id` names whose token was used."""

    def __init__(
        self,
        detail: str,
        consequence: Consequence,
        *,
        platform: str,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        connection_id: str | None = None,
    ) -> None:
        super().__init__(detail, consequence, code=code, http_status=http_status, retry_after=retry_after)
        self.platform = platform
        self.connection_id = connection_id


class ChannelError(RemoteError):
    """A destination did not take a delivery."""
