"""Bot API errors."""

from typing import Any

_PREFIXES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class BotError(Exception):
    """An error answer; ``code`` is also the HTTP status."""

    def __init__(self, code: int, detail: str = "", parameters: dict[str, int] | None = None) -> None:
        prefix = _PREFIXES[code]
        self.code = code
        self.description = f"{prefix}: {detail}" if detail else prefix
        self.parameters = parameters
        super().__init__(self.description)

    def envelope(self) -> dict[str, Any]:
        """The JSON body."""
        body: dict[str, Any] = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def scripted(code: int, detail: str) -> BotError:
    """What a fault spells out; a code the Bot API does not have becomes 400."""
    return BotError(code if code in _PREFIXES else 400, detail)


def bad_request(detail: str) -> BotError:
    return BotError(400, detail)


def too_many_requests(seconds: int) -> BotError:
    """Flood control: wait ``seconds``."""
    return BotError(429, f"retry after {seconds}", {"retry_after": seconds})
