"""The errors of Zoom's REST API and of its sign-in, which have different shapes."""

from collections.abc import Iterable
from typing import Any

from sandbox.exchange import Headerlist

_STATUS = {
    124: 401,
    1001: 404,
    3001: 404,
    3301: 404,
    2300: 404,
    429: 429,
    500: 500,
}
"""HTTP status by code; every other code comes with 400."""
_MESSAGES = {
    124: "Invalid access token.",
    200: "You do not have the right permissions.",
    300: "Validation Failed.",
    429: "You have reached the maximum per-second rate limit for this API. Try again later.",
    500: "Internal server error.",
    2300: "This API endpoint is not recognized.",
    3301: "This recording does not exist.",
}


class ZoomError(Exception):
    """An error answer of the REST API; ``code`` is Zoom's, ``status`` HTTP's."""

    def __init__(
        self,
        code: int,
        message: str = "",
        *,
        status: int = 0,
        fields: Iterable[tuple[str, str]] = (),
        headers: Headerlist | None = None,
    ) -> None:
        self.code = code
        self.message = message or _MESSAGES.get(code, "The request failed.")
        super().__init__(self.message)
        self.status = status or _STATUS.get(code, 400)
        self.fields = tuple(fields)
        self.headers = headers or []

    def body(self) -> dict[str, Any]:
        document: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.fields:
            document["errors"] = [{"field": field, "message": message} for field, message in self.fields]
        return document


class OAuthError(Exception):
    """An error answer of the sign-in; ``error`` is a code of RFC 6749, ``reason`` Zoom's own words."""

    def __init__(self, error: str, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason
        self.status = status

    def body(self) -> dict[str, str]:
        return {"reason": self.reason, "error": self.error}


def invalid_field(name: str, message: str = "Invalid field.") -> ZoomError:
    """Code 300 about one parameter."""
    return ZoomError(300, fields=[(name, message)])


def no_such_user(user_id: str) -> ZoomError:
    return ZoomError(1001, f"User does not exist: {user_id}.")


def no_such_meeting(meeting: str) -> ZoomError:
    return ZoomError(3001, f"Meeting does not exist: {meeting}.")


def dead_grant() -> OAuthError:
    """A refresh token that was used, replaced, revoked, or never was one."""
    return OAuthError("invalid_grant", "Invalid Token!")
