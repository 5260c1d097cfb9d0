"""Users of the account."""

from typing import Any

from sandbox.settings import Settings
from sandbox.world.zoom_account import Directory, Host
from sandbox.zoom.errors import ZoomError, no_such_user
from sandbox.zoom.paging import Pages
from sandbox.zoom.request import ZoomRequest
from sandbox.zoom.scopes import LIST_USERS, READ_ANY_USER, READ_USER

_FOREIGN = "elsewhere-"
"""Ids that begin so belong to another account."""


class Users:
    """Finds the user a path names, and shows users."""

    def __init__(self, settings: Settings, directory: Directory, pages: Pages) -> None:
        self._settings = settings
        self._directory = directory
        self._pages = pages

    def named(
        self, request: ZoomRequest, user_id: str, own: tuple[str, ...], anybodys: tuple[str, ...]
    ) -> Host:
        """Who is meant: an app of one person may only say "me", others need a scope for anybody."""
        of_others = user_id != "me" and not request.identity.whole_account
        request.require(own, anybodys, of_others=of_others)
        if user_id == "me":
            return request.identity.host
        if user_id.startswith(_FOREIGN):
            account = self._settings.zoom_account_id
            raise ZoomError(1010, f"User does not belong to this account: {account}.")
        host = self._directory.find(user_id)
        if host is None:
            raise no_such_user(user_id)
        return host

    def show(self, request: ZoomRequest, user_id: str) -> dict[str, Any]:
        """GET /users/{userId}"""
        host = self.named(request, user_id, READ_USER, READ_ANY_USER)
        return {**self._brief(host), "account_id": self._settings.zoom_account_id, "cluster": "us02"}

    def list(self, request: ZoomRequest) -> dict[str, Any]:
        """GET /users"""
        request.require((), LIST_USERS, of_others=True)
        size = request.page_size()
        asked = ("users", size)
        position = self._pages.position(request.params.get("next_page_token", ""), asked)
        start = position[0] if position else 0
        total = len(self._directory)
        more = start + size < total
        return {
            "page_count": -(-total // size),
            "page_number": start // size + 1,
            "page_size": size,
            "total_records": total,
            "next_page_token": self._pages.token(asked, (start + size,)) if more else "",
            "users": [self._brief(host) for host in self._directory.page(start, size)],
        }

    def _brief(self, host: Host) -> dict[str, Any]:
        return {
            "id": host.id,
            "first_name": host.first_name,
            "last_name": host.last_name,
            "display_name": host.name,
            "email": host.email,
            "type": 2,
            "role_id": "2" if host.number else "0",
            "role_name": "Member" if host.number else "Owner",
            "pmi": 5_550_000_000 + host.number,
            "timezone": host.timezone,
            "verified": 1,
            "dept": host.department,
            "created_at": "2023-11-06T09:12:44Z",
            "language": "en-US",
            "status": "active",
        }
