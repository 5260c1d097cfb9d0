"""The Graph API as a platform: understands a call, has it answered, words the answer."""

import hashlib
import hmac
import re

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call, Headerlist
from sandbox.facebook import batch
from sandbox.facebook.answers import NEWEST_VERSION, failure, success
from sandbox.facebook.dialog import Dialog
from sandbox.facebook.errors import GraphError, unknown_path
from sandbox.facebook.nodes import Nodes
from sandbox.facebook.oauth import OAuth
from sandbox.facebook.request import GraphRequest
from sandbox.facebook.tokens import ANONYMOUS, TokenIssuer
from sandbox.facebook.usage import Usage, object_headers, throttled
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.limits import Limits
from sandbox.settings import Settings
from sandbox.world.population import World

_VERSION = re.compile(r"v(\d+)\.(\d)$")
_IDS = re.compile(r"\d{6,}")
_ROOTS = ("me", "act_", "oauth/", "dialog/", "debug_token", "insights")
_UNRECORDED = frozenset(
    {
        "access_token",
        "appsecret_proof",
        "batch",
        "client_secret",
        "code",
        "fb_exchange_token",
        "input_token",
    }
)
"""Parameters that hold secrets."""


class Facebook:
    """The imitation of graph.facebook.com and of the sign-in dialog."""

    name = "facebook"
    parses_bodies = True

    def __init__(self, settings: Settings, limits: Limits, clock: Clock, world: World, inbox: Inbox) -> None:
        self._settings = settings
        self._clock = clock
        self._inbox = inbox
        self._tokens = TokenIssuer(settings, clock, world.person_id)
        self._oauth = OAuth(settings, clock, self._tokens)
        self._dialog = Dialog(self._oauth, world)
        self._usage = Usage(limits, clock)
        self._nodes = Nodes(settings, clock, world, self._tokens, self._oauth, self._usage)

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
        method = params.pop("method", call.method).upper() if call.method == "POST" else call.method
        return self._perform(call, method, version, segments, params)

    def unreadable(self, detail: str) -> Answer:
        return self._refusal(GraphError(100, f"(#100) Invalid JSON body: {detail}"), "", [])

    def refuse(self, fault: Fault, call: Call) -> Answer:
        version, segments = _split(call.path)
        if fault.kind == "code":
            return self._refusal(_scripted(fault), version, [])
        if fault.kind == "server_error":
            error = GraphError(
                2,
                "An unexpected error has occurred. Please retry your request later.",
                status=500,
                transient=True,
            )
            return self._refusal(error, version, [])
        if fault.kind == "expired_token":
            return self._refusal(self._tokens.dead(463, int(self._clock.now()) - 3_600), version, [])
        owner, use_case = self._nodes.owner(segments[0]) if segments else ("", "")
        if not owner:
            headers = [("x-app-usage", '{"call_count":100,"total_cputime":40,"total_time":46}')]
            error = GraphError(4, "(#4) Application request limit reached", status=403, transient=True)
            return self._refusal(error, version, headers)
        minutes = max(1, -(-fault.retry_after // 60))
        return self._refusal(
            throttled(use_case), version, object_headers(owner, use_case, 100.0, 20.0, minutes)
        )

    def observe(self, call: Call, status: int, fault: str) -> None:
        _, segments = _split(call.path)
        detail: dict[str, object] = {
            "method": call.method,
            "path": call.path,
            "status": status,
            "params": {name: value for name, value in call.text_params().items() if name not in _UNRECORDED},
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
        self._nodes.reset()

    def _perform(
        self,
        call: Call,
        method: str,
        version: str,
        segments: list[str],
        params: dict[str, str],
        vouched: str | None = None,
    ) -> Answer:
        """``vouched`` is a token whose proof the surrounding batch already gave."""
        headers: Headerlist = []
        try:
            request = self._understand(call, method, version, segments, params)
            if request.token != vouched:
                self._check_proof(request.token, params)
            if not segments and method == "POST" and "batch" in params:
                return success(self._batch(call, request), version, [])
            payload = self._nodes.answer(request, headers, call.directive)
        except GraphError as error:
            return self._refusal(error, version, headers)
        return success(payload, version, headers)

    def _understand(
        self, call: Call, method: str, version: str, segments: list[str], params: dict[str, str]
    ) -> GraphRequest:
        if version and int(version[1:].partition(".")[0]) > NEWEST_VERSION:
            raise unknown_path(f"/{version}")
        token = params.pop("access_token", "") or _token(call, params)
        identity = ANONYMOUS if segments[:1] == ["oauth"] else self._tokens.identify(token)
        return GraphRequest(method, version, segments, params, call.base_url, token, identity)

    def _check_proof(self, token: str, params: dict[str, str]) -> None:
        """Raises code 100 for a wrong appsecret_proof, and for a missing one where it is required."""
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

    def _batch(self, call: Call, request: GraphRequest) -> object:
        def perform(method: str, path: str, params: dict[str, str]) -> Answer:
            version, segments = _split(path)
            return self._perform(
                call, method, version or request.version, segments, params, vouched=request.token
            )

        return batch.run(request, perform)

    def _refusal(self, error: GraphError, version: str, headers: Headerlist) -> Answer:
        if error.code == 190 and error.status == 400:
            error.status = self._settings.facebook_token_error_status
        return failure(error, version, headers)


def _scripted(fault: Fault) -> GraphError:
    """The error a fault spells out; a code Facebook cannot have is its unknown error."""
    subcode = fault.code.partition("/")[2]
    code = fault.number or 1
    message = fault.message or f"(#{code}) The sandbox was told to answer with this code"
    return GraphError(code, message, subcode=int(subcode) if subcode else None, status=fault.status or 400)


def _split(path: str) -> tuple[str, list[str]]:
    """The version, if any, and the other segments."""
    segments = [segment for segment in path.split("/") if segment]
    if segments and _VERSION.match(segments[0]):
        return segments[0], segments[1:]
    return "", segments


def _token(call: Call, params: dict[str, str]) -> str:
    if token := params.get("access_token"):
        return token
    scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() in ("bearer", "oauth") else ""
