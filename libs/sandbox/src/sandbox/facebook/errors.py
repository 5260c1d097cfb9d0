"""Graph API errors: the envelope and the ones that are raised in more than one place."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from sandbox.world.dice import throw

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_traces = count(1)


def new_trace_id() -> str:
    """A fresh fbtrace_id of the usual shape."""
    digits = throw("trace", next(_traces)) + throw("trace", -next(_traces))
    return "A" + "".join(_ALPHABET[int(digit * 4096) % 64] for digit in digits) + "xQ"


class GraphError(Exception):
    """An error answer. ``code`` and ``subcode`` are Facebook's; ``status`` is the HTTP status."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        subcode: int | None = None,
        type_: str = "OAuthException",
        status: int = 400,
        transient: bool | None = None,
        title: str | None = None,
        user_message: str | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subcode = subcode
        self.type = type_
        self.status = status
        self.transient = transient
        self.title = title
        self.user_message = user_message
        self.data = data
        self.headers = headers or {}

    def envelope(self) -> dict[str, Any]:
        """The JSON body."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.data is not None:
            error["error_data"] = dict(self.data)
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.transient is not None:
            error["is_transient"] = self.transient
        if self.title is not None:
            error["error_user_title"] = self.title
        if self.user_message is not None:
            error["error_user_msg"] = self.user_message
        error["fbtrace_id"] = new_trace_id()
        return {"error": error}

    def www_authenticate(self) -> str:
        """The header that accompanies every error."""
        reason = "invalid_request"
        if self.code in (102, 190):
            reason = "invalid_token"
        elif self.code == 10 or 200 <= self.code <= 299:
            reason = "insufficient_scope"
        return f'OAuth "Facebook Platform" "{reason}" "{header_text(self.message)}"'


def header_text(text: str) -> str:
    """``text`` made fit for a header value."""
    return text.replace('"', "'").replace("\n", " ").encode("ascii", "replace").decode("ascii")


def invalid_parameter(detail: str) -> GraphError:
    """Code 100 without a subcode."""
    return GraphError(100, f"(#100) {detail}")


def not_one_of(name: str, allowed: tuple[str, ...] | list[str]) -> GraphError:
    """Code 100: a value outside an enumeration."""
    return invalid_parameter(f"{name} must be one of the following values: {', '.join(allowed)}")


def no_such_object(method: str, node_id: str) -> GraphError:
    """Code 100/33: the object is missing, hidden or does not do what was asked."""
    return GraphError(
        100,
        f"Unsupported {method.lower()} request. Object with ID '{node_id}' does not exist, cannot be loaded "
        "due to missing permissions, or does not support this operation. Please read the Graph API "
        "documentation at https://developers.facebook.com/docs/graph-api",
        subcode=33,
        type_="GraphMethodException",
    )


def unknown_path(path: str) -> GraphError:
    """Code 2500: nothing lives there."""
    return GraphError(2500, f"Unknown path components: {path}")


def missing_permission(code: int, detail: str) -> GraphError:
    """Code 10 or 200–299: the token lacks a permission."""
    return GraphError(code, f"(#{code}) {detail}", status=403)


def too_much_data() -> GraphError:
    """1/99: what a query that is too big gets after a while."""
    return GraphError(1, "An unknown error occurred", subcode=99, status=500)


def reduce_data() -> GraphError:
    """Code 1: one page of the answer would be too big."""
    return GraphError(
        1, "Please reduce the amount of data you're asking for, then retry your request", status=500
    )
