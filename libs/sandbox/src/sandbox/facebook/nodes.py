"""From a path to what answers it: finds the node, counts the call, picks the edge."""

from collections.abc import Callable
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Headerlist
from sandbox.facebook.accounts import Accounts, require_ads
from sandbox.facebook.errors import GraphError, no_such_object, unknown_path
from sandbox.facebook.insight_query import AdNode, account_of
from sandbox.facebook.insights import Insights
from sandbox.facebook.oauth import OAuth
from sandbox.facebook.objects import Reader
from sandbox.facebook.page_insights import PageInsights
from sandbox.facebook.reports import Report, Reports
from sandbox.facebook.request import GraphRequest
from sandbox.facebook.tokens import TokenIssuer
from sandbox.facebook.usage import Usage
from sandbox.settings import Settings
from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign
from sandbox.world.pages import Page
from sandbox.world.population import World

Node = World | Page | Report | AdNode
_OUTCOMES = {"report_failed": "failed", "report_skipped": "skipped"}


class Nodes:
    """The graph of one world."""

    def __init__(
        self, settings: Settings, clock: Clock, world: World, tokens: TokenIssuer, oauth: OAuth, usage: Usage
    ) -> None:
        self._world = world
        self._tokens = tokens
        self._oauth = oauth
        self._usage = usage
        self._reader = Reader(world, clock)
        self._accounts = Accounts(world, self._reader, tokens)
        self._insights = Insights(world, clock, settings.facebook_sync_rows)
        self._page_insights = PageInsights(clock)
        self._reports = Reports(self._insights, clock, settings.facebook_report_seconds)

    def reset(self) -> None:
        """Forget every report run."""
        self._reports.reset()

    def answer(self, request: GraphRequest, headers: Headerlist, directive: str = "") -> Any:
        """The payload; usage headers are added to ``headers``. Raises `GraphError`."""
        segments = request.segments
        if segments[:1] == ["oauth"]:
            if segments != ["oauth", "access_token"]:
                raise unknown_path("/" + request.path)
            return self._oauth.access_token(request)
        if segments == ["debug_token"]:
            return self._oauth.debug(request)
        if not segments:
            raise GraphError(100, "(#100) The parameter ids is required")
        if request.identity.kind == "NONE":
            raise _unauthenticated(segments[0])
        node = self._resolve(request)
        headers += self._charge(node, segments)
        return self._serve(request, node, directive)

    def owner(self, node_id: str) -> tuple[str, str]:
        """The object whose limit a call counts against, and the use case; both empty for the app's own."""
        node = self._world.find(node_id) or self._reports.find(node_id)
        if isinstance(node, Page):
            return node.id, "pages"
        if isinstance(node, Report):
            return account_of(node.query.node).number, "ads_insights"
        return (account_of(node).number, "ads_insights") if node is not None else ("", "")

    def _resolve(self, request: GraphRequest) -> Node:
        """The node of the first segment; "me" is replaced by the id it stands for."""
        node_id = request.segments[0]
        if node_id == "me":
            if request.identity.kind == "APP":
                raise _unauthenticated("me")
            node_id = request.segments[0] = request.identity.page_id or self._world.person_id
        if node_id == self._world.person_id:
            return self._world
        node = self._world.find(node_id) or self._reports.find(node_id)
        if node is not None:
            return node
        if node_id.isdigit() or node_id.startswith("act_"):
            raise no_such_object(request.method, node_id)
        raise GraphError(803, f"(#803) Some of the aliases you requested do not exist: {node_id}", status=404)

    def _charge(self, node: Node, segments: list[str]) -> Headerlist:
        if isinstance(node, World):
            return self._usage.charge("", "")
        owner, use_case = self.owner(segments[0])
        if isinstance(node, AdAccount | Campaign | AdSet | Ad) and segments[1:] != ["insights"]:
            use_case = "ads_management"
        return self._usage.charge(owner, use_case)

    def _serve(self, request: GraphRequest, node: Node, directive: str) -> Any:
        edge = request.segments[1] if len(request.segments) > 1 else ""
        if request.method != "GET" and (request.method, edge) not in (
            ("POST", "insights"),
            ("DELETE", "permissions"),
        ):
            raise no_such_object(request.method, request.segments[0])
        if isinstance(node, World):
            return self._serve_person(request, node, edge)
        if isinstance(node, Page):
            return self._serve_page(request, node, edge)
        if isinstance(node, Report):
            return self._reports.read(request, node) if edge == "insights" else self._reports.status(node)
        return self._serve_ads(request, node, edge, directive)

    def _serve_person(self, request: GraphRequest, person: World, edge: str) -> Any:
        if not edge:
            return self._described(request, person, self._reader.read(person, request.fields()))
        if request.identity.kind != "USER":
            raise no_such_object(request.method, request.segments[0])
        if edge == "permissions" and request.method == "DELETE":
            self._tokens.revoke(request.identity)
            return {"success": True}
        edges: dict[str, Callable[[GraphRequest], Any]] = {
            "accounts": self._accounts.pages,
            "adaccounts": self._accounts.ad_accounts,
            "permissions": self._accounts.permissions,
        }
        if edge not in edges:
            raise _no_edge(edge, "User")
        return edges[edge](request)

    def _serve_page(self, request: GraphRequest, page: Page, edge: str) -> Any:
        if edge == "insights" and request.method == "GET":
            metric = request.segments[2] if len(request.segments) > 2 else ""
            return self._page_insights.read(request, page, metric)
        if edge:
            raise _no_edge(edge, "Page")
        return self._described(request, page, self._accounts.page(request, page))

    def _serve_ads(self, request: GraphRequest, node: AdNode, edge: str, directive: str) -> Any:
        if edge == "insights":
            if request.method == "POST":
                return self._reports.start(request, node, _OUTCOMES.get(directive, "completed"))
            return self._insights.read(request, node)
        if not edge:
            require_ads(request)
            return self._described(request, node, self._reader.read(node, request.fields()))
        if edge == "campaigns" and isinstance(node, AdAccount):
            return self._accounts.campaigns(request, node)
        if edge == "adsets" and isinstance(node, AdAccount | Campaign):
            return self._accounts.adsets(request, node)
        if edge == "ads" and isinstance(node, AdAccount | Campaign | AdSet):
            return self._accounts.ads(request, node)
        raise _no_edge(edge, type(node).__name__)

    def _described(self, request: GraphRequest, node: object, shown: dict[str, Any]) -> dict[str, Any]:
        if request.params.get("metadata") == "1":
            shown["metadata"] = self._reader.metadata(node)
        return shown


def _no_edge(edge: str, type_name: str) -> GraphError:
    return GraphError(100, f"(#100) Tried accessing nonexisting field ({edge}) on node type ({type_name})")


def _unauthenticated(node_id: str) -> GraphError:
    if node_id == "me":
        return GraphError(
            2500, "An active access token must be used to query information about the current user."
        )
    return GraphError(104, "An access token is required to request this resource.")
