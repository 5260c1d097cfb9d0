"""The Business API as a platform: understands a call, has it answered, words the answer."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Answer, Call
from sandbox.faults import Fault, Traits
from sandbox.inbox import Inbox
from sandbox.limits import Limits
from sandbox.settings import Settings
from sandbox.tiktok_business.advertisers import Advertisers
from sandbox.tiktok_business.answers import Answers
from sandbox.tiktok_business.errors import BusinessError
from sandbox.tiktok_business.oauth import BusinessOAuth
from sandbox.tiktok_business.portal import Portal
from sandbox.tiktok_business.report_tasks import ReportTasks
from sandbox.tiktok_business.reports import Reports
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.tiktok_business.tokens import ANONYMOUS, ANY_APP, Tokens
from sandbox.tiktok_business.usage import Usage, too_frequent
from sandbox.world.deletions import Deletions
from sandbox.world.tiktok_ads import TikTokAds

_BASE = "/open_api/v1.3"
_OTHER_VERSION = re.compile(r"/open_api/v\d+\.\d+/")
_PORTAL = "/portal/"
_TOKEN_PATHS = ("/oauth2/access_token/", "/oauth2/revoke_token/")
_FORM = "application/x-www-form-urlencoded"
_UNRECORDED = frozenset(
    {"access_token", "auth_code", "client_secret", "code", "refresh_token", "secret", "sign"}
)
"""Parameters that hold secrets."""

Handler = Callable[[BusinessRequest], Any]


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    handler: Handler
    takes_token: bool = False


class TikTokBusiness:
    """The imitation of business-api.tiktok.com, with its portal."""

    name = "tiktok_business"
    parses_bodies = True

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        clock: Clock,
        inbox: Inbox,
        person: str,
        deletions: Deletions,
    ) -> None:
        self._inbox = inbox
        ads = TikTokAds(settings.seed, settings.tiktok_advertisers, deletions)
        self._answers = Answers(clock)
        self._tokens = Tokens(settings)
        self._oauth = BusinessOAuth(settings, clock, ads, self._tokens)
        self._portal = Portal(self._oauth, ads, person)
        self._usage = Usage(limits, clock)
        advertisers = Advertisers(ads, clock)
        reports = Reports(ads, advertisers, clock)
        self._tasks = ReportTasks(settings, clock, reports, self._answers)
        oauth, tasks = self._oauth, self._tasks
        self._routes = {
            "/oauth2/access_token/": _Route("POST", oauth.access_token),
            "/oauth2/revoke_token/": _Route("POST", oauth.revoke),
            "/oauth2/advertiser/get/": _Route("GET", oauth.advertisers, takes_token=True),
            "/advertiser/info/": _Route("GET", advertisers.info, takes_token=True),
            "/campaign/get/": _Route("GET", advertisers.campaigns, takes_token=True),
            "/report/integrated/get/": _Route("GET", reports.read, takes_token=True),
            "/report/task/create/": _Route("POST", tasks.create, takes_token=True),
            "/report/task/check/": _Route("GET", tasks.check, takes_token=True),
            "/report/task/download/": _Route("GET", tasks.download, takes_token=True),
        }

    def claims(self, method: str, path: str) -> bool:
        return path.startswith(("/open_api/", _PORTAL))

    def label(self, path: str) -> str:
        known = path.removeprefix(_BASE) in self._routes or path.rstrip("/") == "/portal/auth"
        return path if known else "/open_api/…"

    def traits(self, call: Call) -> Traits:
        return Traits(token=call.headers.get("access-token", ""))

    def answer(self, call: Call) -> Answer:
        if call.path.rstrip("/") == "/portal/auth":
            return self._portal.answer(call.text_params())
        route = self._routes.get(call.path.removeprefix(_BASE)) if call.path.startswith(_BASE) else None
        if route is None:
            if _OTHER_VERSION.match(call.path) and not call.path.startswith(_BASE):
                return self._answers.failure(BusinessError(40006))
            return self._answers.no_page()
        if call.method != route.method:
            return self._answers.wrong_method()
        try:
            data = route.handler(self._understand(call, route))
        except BusinessError as error:
            return self._answers.failure(error)
        return data if isinstance(data, Answer) else self._answers.success(data)

    def unreadable(self, detail: str) -> Answer:
        return self._answers.failure(BusinessError(40000, f"Invalid JSON body: {detail}"))

    def refuse(self, fault: Fault, call: Call) -> Answer:
        if fault.kind == "code":
            return self._answers.failure(BusinessError(fault.number, fault.message, fault.status or 200))
        if fault.kind == "server_error":
            return self._answers.failure(BusinessError(50000))
        if fault.kind == "expired_token":
            at_token_endpoint = call.path.removeprefix(_BASE).startswith(_TOKEN_PATHS)
            code = 40110 if at_token_endpoint else 40102
            return self._answers.failure(BusinessError(code))
        which = "QPS" if fault.retry_after < 60 else "QPM" if fault.retry_after < 3_600 else "QPD"
        return self._answers.failure(too_frequent(which))

    def observe(self, call: Call, status: int, fault: str) -> None:
        params = call.text_params()
        detail: dict[str, object] = {
            "method": call.method,
            "path": call.path,
            "status": status,
            "params": {name: value for name, value in params.items() if name not in _UNRECORDED},
        }
        if fault:
            detail["fault"] = fault
        if trace := call.headers.get("traceparent"):
            detail["traceparent"] = trace
        self._inbox.add(self.name, params.get("advertiser_id", ""), detail)

    def reset(self) -> None:
        self._tokens.reset()
        self._oauth.reset()
        self._usage.reset()
        self._tasks.reset()

    def _understand(self, call: Call, route: _Route) -> BusinessRequest:
        """Who calls and with what; raises the errors of tokens, limits and content types."""
        path = call.path.removeprefix(_BASE)
        identity = ANONYMOUS
        params = call.params()
        if route.takes_token:
            identity = self._tokens.identify(call.headers.get("access-token", ""))
        if call.method == "POST":
            content_type = call.headers.get("content-type", "")
            if content_type.partition(";")[0].strip().lower() == _FORM:
                raise BusinessError(40000, "Content-Type must be application/json.")
        app_id = identity.app_id if route.takes_token else str(params.get("app_id") or ANY_APP)
        self._usage.charge(app_id, path, str(params.get("advertiser_id") or ""))
        return BusinessRequest(path, params, identity, call.base_url, call.directive)
