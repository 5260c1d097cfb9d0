"""The consent dialog a person sees in the browser."""

from pathlib import Path

import jinja2

from sandbox.exchange import Answer
from sandbox.facebook.errors import GraphError
from sandbox.facebook.oauth import OAuth
from sandbox.world.population import World

_TEMPLATES = Path(__file__).parent.parent / "pages"
_EXPLAINED = {
    "ads_read": "See your ad accounts and how your ads perform",
    "ads_management": "Manage your ads",
    "business_management": "Manage your business",
    "pages_show_list": "Show a list of the Pages you manage",
    "pages_read_engagement": "Read what is posted on your Pages",
    "read_insights": "See the insights of your Pages",
    "email": "See your email address",
}


class Dialog:
    """GET shows the dialog, POST carries the decision; ``sandbox_decision`` in a GET decides at once."""

    def __init__(self, oauth: OAuth, world: World) -> None:
        self._oauth = oauth
        self._world = world
        environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
        self._template = environment.get_template("dialog.html")

    def answer(self, method: str, params: dict[str, str]) -> Answer:
        """The dialog, or the way back to the app."""
        try:
            self._oauth.check_client(params)
            scopes = self._oauth.requested_scopes(params)
            redirect_uri = params.get("redirect_uri", "")
            if not redirect_uri.startswith(("http://", "https://")):
                raise GraphError(191, "The redirect_uri URL must be absolute")
        except GraphError as error:
            return self._page(400, {"problem": error.message, "params": {}, "scopes": []})
        decision = params.get("sandbox_decision", "")
        if decision == "allow":
            declined = set(filter(None, params.get("declined", "").split(",")))
            granted = tuple(scope for scope in scopes if scope not in declined)
            return _go(self._oauth.allow(params, granted))
        if decision == "deny":
            return _go(self._oauth.deny(params))
        shown = [(scope, _EXPLAINED[scope]) for scope in scopes if scope in _EXPLAINED]
        return self._page(
            200, {"problem": "", "params": params, "scopes": shown, "person": self._world.person_name}
        )

    def _page(self, status: int, context: dict[str, object]) -> Answer:
        body = self._template.render(context).encode()
        return Answer(status, body, "text/html; charset=utf-8", [("cache-control", "no-store")])


def _go(address: str) -> Answer:
    return Answer(302, b"", "text/html; charset=utf-8", [("location", address)])
