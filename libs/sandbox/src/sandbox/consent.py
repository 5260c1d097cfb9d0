"""The consent page a person sees in the browser, and the way back from it to the app."""

from pathlib import Path
from urllib.parse import urlencode

import jinja2

from sandbox.exchange import Answer

_TEMPLATES = Path(__file__).parent / "pages"
_HTML = "text/html; charset=utf-8"


class ConsentPage:
    """One platform's dialog; its form posts every parameter back, with ``sandbox_decision`` allow or deny."""

    def __init__(self, vendor: str) -> None:
        environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
        self._template = environment.get_template("dialog.html")
        self._vendor = vendor

    def ask(self, person: str, wishes: list[tuple[str, str]], params: dict[str, str]) -> Answer:
        """Show what the app would like to do: pairs of its technical name and its meaning."""
        return self._page(200, {"problem": "", "person": person, "scopes": wishes, "params": params})

    def refuse(self, problem: str) -> Answer:
        """The link cannot work: no redirect follows."""
        return self._page(400, {"problem": problem, "person": "", "scopes": [], "params": {}})

    def _page(self, status: int, context: dict[str, object]) -> Answer:
        body = self._template.render({"vendor": self._vendor, **context}).encode()
        return Answer(status, body, _HTML, [("cache-control", "no-store")])


def back_to(redirect_uri: str, result: dict[str, str], state: str) -> Answer:
    """Send the person back to the app with ``result`` and the app's ``state``."""
    if state:
        result = {**result, "state": state}
    joint = "&" if "?" in redirect_uri else "?"
    return Answer(302, b"", _HTML, [("location", f"{redirect_uri}{joint}{urlencode(result)}")])


def is_absolute(redirect_uri: str) -> bool:
    """Whether a browser can be sent there."""
    return redirect_uri.startswith(("http://", "https://"))
