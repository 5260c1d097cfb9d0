"""Errors of the organic API, which has one shape for its resources and another for its tokens."""

_API = {
    "access_token_invalid": (401, "The access token is invalid or not found in the request."),
    "scope_not_authorized": (
        401,
        "The user did not authorize the scope required for completing this request.",
    ),
    "scope_permission_missed": (400, "Additional scopes are required for the requested fields."),
    "invalid_params": (400, "One or more fields in the request are invalid."),
    "invalid_file_upload": (400, "The uploaded file does not meet the requirements."),
    "rate_limit_exceeded": (429, "The API rate limit was exceeded. Please try again later."),
    "internal_error": (500, "Internal error. Please try again later."),
}
_OAUTH = {
    "access_denied": "The user denied your request.",
    "invalid_client": "Client key or secret is incorrect.",
    "invalid_grant": "Refresh token is invalid or expired.",
    "invalid_request": "The request parameters are malformed.",
    "invalid_scope": "The scope is invalid.",
    "rate_limit_exceeded": "Too many requests.",
    "server_error": "The server could not answer. Please try again later.",
    "unauthorized_client": "The client is not authorized to use this grant type.",
    "unsupported_grant_type": "The grant type is not supported.",
    "unsupported_response_type": "The response type is not supported.",
}


class ApiError(Exception):
    """An error of a resource, under its own HTTP status."""

    def __init__(self, code: str, message: str = "", status: int = 0) -> None:
        usual_status, usual_message = _API.get(code, (400, "The request failed."))
        self.code = code
        self.message = message or usual_message
        self.status = status or usual_status
        super().__init__(self.message)


class OAuthError(Exception):
    """An error of the token endpoints; ``status`` 0 leaves the HTTP status to the settings."""

    def __init__(self, error: str, description: str = "", status: int = 0) -> None:
        self.error = error
        self.description = description or _OAUTH.get(error, "The request failed.")
        self.status = status
        super().__init__(self.description)
