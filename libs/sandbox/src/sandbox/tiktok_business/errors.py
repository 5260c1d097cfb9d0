"""Business API errors: a code in the body, nearly always under HTTP 200."""

MESSAGES = {
    40000: "Invalid request parameters.",
    40001: "No permission to perform this operation.",
    40002: "Invalid request parameters.",
    40003: "Access is forbidden.",
    40006: "The API version is wrong.",
    40007: "The object does not exist.",
    40008: "This is not implemented.",
    40009: "This is not supported in the sandbox.",
    40010: "The domain is wrong.",
    40011: "Too many ids in one request.",
    40013: "The sandbox account does not exist.",
    40014: "The sandbox account does not exist.",
    40016: "Too many requests. Please retry later.",
    40050: "Duplicate request.",
    40051: "The domain is wrong.",
    40100: "App reaches the QPS limit.",
    40101: "The app id, secret and auth_code do not match.",
    40102: "Access token has expired.",
    40103: "Refresh token has expired.",
    40104: "Access token is null, you should set it in http header with key Access-Token.",
    40105: "Access token is incorrect or has been revoked.",
    40106: "The access token does not belong to this advertiser.",
    40107: "Refresh token is incorrect.",
    40108: "Grant type is incorrect.",
    40110: "Auth_code is invalid, expired or has been used.",
    40113: "The app does not exist or is blocked.",
    40114: "The advertiser has logged out.",
    40115: "The timestamp of the authentication is wrong.",
    40116: "The signature is wrong.",
    40117: "The authentication method is wrong.",
    40118: "The app is not on the allowlist for this feature.",
    40119: "The access token is of the wrong kind for this endpoint.",
    40120: "The TikTok user is not logged in.",
    40124: "The developer has no permission.",
    40125: "The developer has no permission for this endpoint.",
    40130: "The scope is not authorized.",
    40131: "The scope is not authorized by the user.",
    40132: "QPS limit reached for this value.",
    40133: "Advertiser's QPS reaches QPS limit for current path, request is temporarily restricted.",
    40200: "Task error.",
    40201: "The task is not ready.",
    40202: "Write conflict. Please retry.",
    40300: "The advertiser does not exist.",
    40301: "The advertiser does not exist.",
    40302: "The advertiser does not match.",
    40400: "The route does not exist.",
    40700: "Internal validation failed.",
    40902: "The URL cannot be fetched.",
    40903: "The image cannot be fetched.",
    40913: "The video cannot be fetched.",
    41000: "The country of your IP address is not supported.",
    41001: "The endpoint is offline.",
    41002: "The fields are offline.",
    50000: "System error.",
    50002: "The request timed out.",
    60001: "The system is under maintenance.",
}
"""What each code says when there is nothing more particular to say."""


class BusinessError(Exception):
    """An error answer; ``status`` is the HTTP status."""

    def __init__(self, code: int, message: str = "", status: int = 200) -> None:
        self.code = code
        self.message = message or MESSAGES.get(code, "Service error.")
        self.status = status
        super().__init__(self.message)


def invalid(name: str, detail: str) -> BusinessError:
    """Code 40002: the parameter ``name`` cannot have that value."""
    return BusinessError(40002, f"{name}: {detail}")


def missing(*names: str) -> BusinessError:
    """Code 40002: something has to be there."""
    return BusinessError(40002, f"Missing required field(s): {', '.join(names)}.")


def not_one_of(name: str, allowed: tuple[str, ...]) -> BusinessError:
    """Code 40002: a value outside an enumeration."""
    return invalid(name, f"Must be one of: {', '.join(allowed)}.")


def unsupported(what: str) -> BusinessError:
    """Code 40009: TikTok does it, an imitation does not."""
    return BusinessError(40009, f"{what} is not supported in the sandbox.")
