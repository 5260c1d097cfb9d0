"""The Graph API: understands a call, finds the node and its edge, and words the answer."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call, Headerlist
from sandbox.facebook import batch
from sandbox.facebook.accounts import Accounts, require_ads
from sandbox.facebook.dialog import Dialog
from sandbox.facebook.errors import GraphError, no_such_object, unknown_path
from sandbox.facebook.insights import Insights, account_of
from sandbox.facebook.oauth import OAuth
from sandbox.facebook.objects import Reader
from sandbox.facebook.page_insights import PageInsights
from sandbox.facebook.reports import Report, Reports
from sandbox.facebook.request import GraphRequest
from sandbox.facebook.tokens import ANONYMOUS, TokenIssuer
from sandbox.facebook.usage import Usage, object_headers, throttled
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.settings import Settings
from sandbox.world.ads import Ad, AdAccount, AdSet, Campaign
from sandbox.world.pages import Page
from sandbox.world.population import World

NEWEST_VERSION = 26
OLDEST_VERSION = 21
_VERSION = re.compile(r"v(\d+)\.(\d)$")
_IDS = re.compile(r"\d{6,}")
_STEADY_HEADERS: Headerlist = [
    ("vary", "Accept-Encoding"),
    ("x-fb-rlafr", "0"),
    ("cache-control", "private, no-cache, no-store, must-revalidate"),
    ("expires", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ("pragma", "no-cache"),
    ("strict-transport-security", "max-age=15552000; preload"),
    ("x-fb-rev", "1030114517"),
]
_ROOTS = ("me", "act_", "oauth/", "dialog/", "debug_token", "insights")
_requests = count(1)


class Facebook:
    """The imitation of graph.facebook.com and of the sign-in dialog."""

    name = "facebook"

    def __init__(self, settings: Settings, clock: Clock, world: World, inbox: Inbox) -> None:
        self._settings = settings
        self._clock = clock
        self._world = world
        self._inbox = inbox
        self._tokens = TokenIssuer(settings, clock, world.person_id)
        self._oauth = OAuth(settings, clock, self._tokens)
        self._dialog = Dialog(self._oauth, world)
        self._usage = Usage(settings, clock)
        self._reader = Reader(world, clock)
        self._accounts = Accounts(world, self._reader, self._tokens)
        self._insights = Insights(world, clock, settings.facebook_sync_rows)
        self._reports = Reports(self._insights, clock, settings.facebook_report_seconds)
        self._page_insights = PageInsights(clock)

    def claims(self, method: str, path: str) -> bool:
        first = path[1:].partition("/")[0]
        if not first:
            return method == "POST"
        return bool(_VERSION.match(first)) or first.isdigit() or path[1:].startswith(_ROOTS)

    def label(self, path: str) -> str:
        _, segments = _split(path)
        return "/" + _IDS.sub("{id}", "/".join(segments))

    def traits(self, call: Call) -> Traits:
        return Traits(token=_token(call, call.text_params()))

    def answer(self, call: Call) -> Answer:
        params = dict(call.text_params())
        version, segments = _split(call.path)
        if segments[:2] == ["dialog", "oauth"]:
            return self._dialog.answer(call.method, params)
        method = params.pop("method", call.method).upper() if call.method in ("GET", "POST") else call.method
        etag = call.headers.get("if-none-match", "")
        return self._perform(call, method, version, segments, params, etag)

    def unreadable(self, detail: str) -> Answer:
        return self._error(GraphError(100, f"(#100) Invalid JSON body: {detail}"), "", [])

    def refuse(self, fault: Fault, call: Call) -> Answer:
        version, segments = _split(call.path)
        node = self._world.find(segments[0]) if segments else None
        if fault.kind == "server_error":
            return self._error(
                GraphError(
                    2,
                    "An unexpected error has occurred. Please retry your request later.",
                    status=500,
                    transient=True,
                ),
                version,
                [],
            )
        if fault.kind == "expired_token":
            expired_at = int(self._clock.now()) - 3_600
            return self._error(self._tokens.dead(463, expired_at), version, [])
        minutes = max(1, -(-fault.retry_after // 60))
        if node is None:
            headers = [("x-app-usage", '{"call_count":100,"total_cputime":40,"total_time":46}')]
            return self._error(
                GraphError(4, "(#4) Application request limit reached", status=403, transient=True),
                version,
                headers,
            )
        use_case = "pages" if isinstance(node, Page) else "ads_insights"
        owner = node.id if isinstance(node, Page) else account_of(node).number
        headers = object_headers(owner, use_case, 100.0, 20.0, minutes)
        return self._error(throttled(use_case), version, headers)

    def observe(self, call: Call, status: int, fault: str) -> None:
        version, segments = _split(call.path)
        detail: dict[str, object] = {
            "method": call.method,
            "path": call.path,
            "version": version,
            "status": status,
            "params": {name: value for name, value in call.text_params().items() if name not in _SECRETS},
        }
        if fault:
            detail["fault"] = fault
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add("facebook", segments[0] if segments else "", detail)

    def reset(self) -> None:
        self._tokens.reset()
        self._oauth.reset()
        self._usage.reset()
        self._reports.reset()

    def _perform(
        self, call: Call, method: str, version: str, segments: list[str], params: dict[str, str], etag: str
    ) -> Answer:
        headers: Headerlist = []
        try:
            request = self._understand(call, method, version, segments, params)
            if not segments and method == "POST" and "batch" in params:
                return self._batch(call, request)
            payload = self._dispatch(request, headers, call.directive)
        except GraphError as error:
            return self._error(error, version, headers)
        return self._ok(payload, version, headers, etag)

    def _understand(
        self, call: Call, method: str, version: str, segments: list[str], params: dict[str, str]
    ) -> GraphRequest:
        if version and int(version[1:].partition(".")[0]) > NEWEST_VERSION:
            raise unknown_path(f"/{version}")
        token = params.pop("access_token", "") or _token(call, params)
        identity = ANONYMOUS if segments[:1] == ["oauth"] else self._tokens.identify(token)
        self._check_proof(token, params)
        return GraphRequest(method, version, segments, params, call.base_url, token, identity)

    def _check_proof(self, token: str, params: dict[str, str]) -> None:
        secret = self._settings.facebook_app_secret
        proof = params.get("appsecret_proof")
        if not secret or not token or "|" in token:
            return
        if proof is None:
            if self._settings.facebook_require_proof:
                raise GraphError(
                    100,
                    "API calls from the server require an appsecret_proof argument",
                    type_="GraphMethodException",
                )
            return
        expected = hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof.encode(), expected.encode()):
            raise GraphError(
                100, "Invalid appsecret_proof provided in the API argument", type_="GraphMethodException"
            )

    def _batch(self, call: Call, request: GraphRequest) -> Answer:
        def perform(method: str, path: str, params: dict[str, str], etag: str) -> Answer:
            version, segments = _split(path)
            return self._perform(call, method, version or request.version, segments, params, etag)

        try:
            answers = batch.run(request, perform)
        except GraphError as error:
            return self._error(error, request.version, [])
        return self._ok(answers, request.version, [], "")

    def _dispatch(self, request: GraphRequest, headers: Headerlist, directive: str) -> Any:
        segments = request.segments
        if segments[:1] == ["oauth"]:
            if segments != ["oauth", "access_token"]:
                raise unknown_path("/" + request.path)
            return self._oauth.access_token(request)
        if segments == ["debug_token"]:
            return self._oauth.debug(request)
        if "ids" in request.params:
            return self._by_ids(request, headers)
        if not segments:
            raise GraphError(100, "(#100) The parameter ids is required")
        if request.identity.kind == "NONE":
            raise _unauthenticated(segments[0])
        node = self._resolve(request, segments[0])
        headers += self._charge(node, segments)
        return self._serve(request, node, segments[1:], directive)

    def _by_ids(self, request: GraphRequest, headers: Headerlist) -> dict[str, Any]:
        ids = request.names("ids")
        rest = {name: value for name, value in request.params.items() if name != "ids"}
        found = {}
        for node_id in ids:
            part = replace(request, segments=[node_id, *request.segments], params=rest)
            found[node_id] = self._dispatch(part, headers if node_id == ids[-1] else [], "")
        return found

    def _resolve(self, request: GraphRequest, node_id: str) -> object:
        if node_id == "me":
            if request.identity.kind == "APP":
                raise _unauthenticated("me")
            node_id = request.identity.page_id or self._world.person_id
        if node_id == self._world.person_id:
            return self._world
        node = self._world.find(node_id) or self._reports.find(node_id)
        if node is not None:
            return node
        if node_id.isdigit() or node_id.startswith("act_"):
            raise no_such_object(request.method, node_id)
        raise GraphError(803, f"(#803) Some of the aliases you requested do not exist: {node_id}", status=404)

    def _charge(self, node: object, segments: list[str]) -> Headerlist:
        if isinstance(node, Page):
            return self._usage.charge(node.id, "pages")
        if isinstance(node, Report):
            return self._usage.charge(account_of(node.query.node).number, "ads_insights")
        if isinstance(node, AdAccount | Campaign | AdSet | Ad):
            use_case = "ads_insights" if segments[1:] == ["insights"] else "ads_management"
            return self._usage.charge(account_of(node).number, use_case)
        return self._usage.charge("", "")

    def _serve(self, request: GraphRequest, node: object, rest: list[str], directive: str) -> Any:
        edge = rest[0] if rest else ""
        if isinstance(node, World):
            return self._serve_person(request, node, edge)
        if isinstance(node, Page):
            if edge == "insights":
                return self._page_insights.read(request, node, rest[1] if len(rest) > 1 else "")
            if not edge:
                return self._with_metadata(request, node, self._accounts.page(request, node))
        elif isinstance(node, Report):
            if edge == "insights":
                return self._reports.read(request, node)
            if not edge:
                return self._reports.status(node)
        elif isinstance(node, AdAccount | Campaign | AdSet | Ad):
            return self._serve_ads(request, node, edge, directive)
        raise self._no_edge(request, edge)

    def _serve_person(self, request: GraphRequest, person: World, edge: str) -> Any:
        if edge == "permissions" and request.method == "DELETE":
            self._tokens.revoke_person(request.identity)
            return {"success": True}
        if edge in ("accounts", "adaccounts", "permissions") and request.identity.kind != "USER":
            raise no_such_object(request.method, request.segments[0])
        if not edge:
            return self._with_metadata(request, person, self._reader.read(person, request.fields()))
        edges: dict[str, Callable[[GraphRequest], Any]] = {
            "accounts": self._accounts.pages,
            "adaccounts": self._accounts.ad_accounts,
            "permissions": self._accounts.permissions,
        }
        if edge not in edges:
            raise self._no_edge(request, edge)
        return edges[edge](request)

    def _serve_ads(
        self, request: GraphRequest, node: AdAccount | Campaign | AdSet | Ad, edge: str, directive: str
    ) -> Any:
        if edge == "insights":
            if request.method == "POST":
                outcome = {"report_failed": "failed", "report_skipped": "skipped"}.get(directive, "completed")
                return self._reports.start(request, node, outcome)
            return self._insights.read(request, node)
        if not edge:
            require_ads(request)
            return self._with_metadata(request, node, self._reader.read(node, request.fields()))
        if edge == "campaigns" and isinstance(node, AdAccount):
            return self._accounts.campaigns(request, node)
        if edge == "adsets" and isinstance(node, AdAccount | Campaign):
            return self._accounts.adsets(request, node)
        if edge == "ads" and isinstance(node, AdAccount | Campaign | AdSet):
            return self._accounts.ads(request, node)
        raise self._no_edge(request, edge)

    def _with_metadata(self, request: GraphRequest, node: object, shown: dict[str, Any]) -> dict[str, Any]:
        if request.params.get("metadata") == "1":
            shown["metadata"] = self._reader.metadata(node)
        return shown

    def _no_edge(self, request: GraphRequest, edge: str) -> GraphError:
        if not edge:
            return no_such_object(request.method, request.segments[0])
        return GraphError(
            100, f"(#100) Tried accessing nonexisting field ({edge}) on node type ({request.segments[0]})"
        )

    def _ok(self, payload: Any, version: str, headers: Headerlist, etag: str) -> Answer:
        body = json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()
        mark = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
        all_headers = [("etag", mark), *headers, *_common(version)]
        if etag == mark:
            return Answer(304, b"", headers=all_headers)
        return Answer(200, body, headers=all_headers)

    def _error(self, error: GraphError, version: str, headers: Headerlist) -> Answer:
        body = json.dumps(error.envelope(), separators=(",", ":")).replace("/", "\\/").encode()
        told = [("www-authenticate", error.www_authenticate()), *headers, *error.headers.items()]
        return Answer(error.status, body, headers=[*told, *_common(version)])


_SECRETS = frozenset(
    {"access_token", "appsecret_proof", "client_secret", "fb_exchange_token", "input_token", "code"}
)


def _split(path: str) -> tuple[str, list[str]]:
    segments = [segment for segment in path.split("/") if segment]
    if segments and _VERSION.match(segments[0]):
        return segments[0], segments[1:]
    return "", segments


def _token(call: Call, params: dict[str, str]) -> str:
    if token := params.get("access_token"):
        return token
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() in ("bearer", "oauth") else ""


def _common(version: str) -> Headerlist:
    number = NEWEST_VERSION
    if version:
        number = min(max(int(version[1:].partition(".")[0]), OLDEST_VERSION), NEWEST_VERSION)
    serial = next(_requests)
    return [
        ("facebook-api-version", f"v{number}.0"),
        ("x-fb-request-id", f"A{serial:010d}"),
        ("x-fb-trace-id", f"E{serial:010x}"),
        *_STEADY_HEADERS,
    ]


def _unauthenticated(node_id: str) -> GraphError:
    if node_id == "me":
        return GraphError(
            2500, "An active access token must be used to query information about the current user."
        )
    return GraphError(104, "An access token is required to request this resource.")
