"""Lists a person can read: their pages, ad accounts and permissions, and what is inside an account."""

from typing import Any

from sandbox.facebook.errors import missing_permission
from sandbox.facebook.objects import Reader
from sandbox.facebook.paging import paginate
from sandbox.facebook.request import GraphRequest
from sandbox.facebook.tokens import ALL_SCOPES, TokenIssuer
from sandbox.world.ads import AdAccount, AdSet, Campaign
from sandbox.world.pages import Page
from sandbox.world.population import World

_PAGE_DEFAULTS = ("access_token", "category", "category_list", "name", "id", "tasks")


class Accounts:
    """The edges of a user and of an ad account."""

    def __init__(self, world: World, reader: Reader, tokens: TokenIssuer) -> None:
        self._world = world
        self._reader = reader
        self._tokens = tokens

    def pages(self, request: GraphRequest) -> dict[str, Any]:
        """GET /me/accounts; without pages_show_list the list is empty, not an error."""
        pages = self._world.pages if request.identity.may("pages_show_list") else ()

        def render(page: Page) -> dict[str, Any]:
            return self.page(request, page, _PAGE_DEFAULTS)

        return paginate(request, pages, render, lambda page: page.id)

    def page(self, request: GraphRequest, page: Page, defaults: tuple[str, ...] = ()) -> dict[str, Any]:
        """One page, with the token derived from the caller's where a person asks for it."""
        extra = {}
        if request.identity.kind == "USER":
            extra["access_token"] = lambda it: self._tokens.page_token(request.token, request.identity, it.id)
        elif request.identity.page_id == page.id:
            extra["access_token"] = lambda _: request.token
        return self._reader.read(page, request.fields(), extra, defaults)

    def ad_accounts(self, request: GraphRequest) -> dict[str, Any]:
        """GET /me/adaccounts."""
        require_ads(request)
        fields = request.fields()
        return paginate(
            request,
            self._world.accounts,
            lambda account: self._reader.read(account, fields),
            lambda account: account.number,
        )

    def permissions(self, request: GraphRequest) -> dict[str, Any]:
        """GET /me/permissions."""
        granted = request.identity.scopes
        rows = [{"permission": scope, "status": "granted"} for scope in granted]
        rows += [
            {"permission": scope, "status": "declined"}
            for scope in ALL_SCOPES
            if scope not in granted and scope not in ("email", "public_profile")
        ]
        return {"data": rows}

    def campaigns(self, request: GraphRequest, account: AdAccount) -> dict[str, Any]:
        return self._children(request, account.campaigns)

    def adsets(self, request: GraphRequest, parent: AdAccount | Campaign) -> dict[str, Any]:
        if isinstance(parent, Campaign):
            return self._children(request, parent.adsets)
        return self._children(request, tuple(s for campaign in parent.campaigns for s in campaign.adsets))

    def ads(self, request: GraphRequest, parent: AdAccount | Campaign | AdSet) -> dict[str, Any]:
        return self._children(request, tuple(parent.ads))

    def _children(self, request: GraphRequest, nodes: tuple[Any, ...]) -> dict[str, Any]:
        require_ads(request)
        fields = request.fields()
        wanted = request.names("effective_status")
        states = {node.id: self._world.status(node) for node in nodes}
        nodes = tuple(
            node for node in nodes if (states[node.id] in wanted if wanted else states[node.id] != "DELETED")
        )
        return paginate(
            request, nodes, lambda node: self._reader.read(node, fields), lambda node: str(node.id)
        )


def require_ads(request: GraphRequest) -> None:
    """Raises code 200 unless the token may read ads."""
    if not request.identity.may("ads_read", "ads_management"):
        raise missing_permission(200, "Ad account owner has NOT grant ads_management or ads_read permission")
