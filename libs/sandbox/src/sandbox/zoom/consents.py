"""The page on which a person lets an app in, and the codes it hands out."""

from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.codes import OneTimeCodes
from sandbox.consent import ConsentPage, back_to, is_absolute
from sandbox.exchange import Answer
from sandbox.settings import Settings
from sandbox.world.dice import throw
from sandbox.world.zoom_account import Directory, Host
from sandbox.zoom.scopes import MEANINGS, USER_SCOPES

_CODE_LIFE = 300.0


@dataclass(frozen=True, slots=True)
class Consent:
    """What a code stands for."""

    client: str
    redirect_uri: str
    host: Host
    scopes: tuple[str, ...]
    challenge: str
    """PKCE's code_challenge (S256); empty when the app used none."""


class Consents:
    """GET /oauth/authorize shows the page, POST decides; ``sandbox_decision`` in a GET decides at once."""

    def __init__(self, settings: Settings, clock: Clock, directory: Directory) -> None:
        self._settings = settings
        self._clock = clock
        self._directory = directory
        self._page = ConsentPage("Zoom")
        self.codes: OneTimeCodes[Consent] = OneTimeCodes(clock, _CODE_LIFE)

    def reset(self) -> None:
        """Forget all codes."""
        self.codes.reset()

    def answer(self, params: dict[str, str]) -> Answer:
        """The page, or the way back. ``sandbox_user`` chooses who signs in, ``declined`` names scopes."""
        host = self._directory.find(params.get("sandbox_user", "")) or self._directory.owner
        scopes = tuple(dict.fromkeys(params.get("scope", "").replace(",", " ").split())) or USER_SCOPES
        if problem := self._problem(params, scopes):
            return self._page.refuse(problem)
        redirect_uri, state = params["redirect_uri"], params.get("state", "")
        decision = params.get("sandbox_decision", "")
        if decision == "allow":
            declined = params.get("declined", "").split(",")
            granted = tuple(scope for scope in scopes if scope not in declined)
            challenge = params.get("code_challenge", "")
            code = self._issue(Consent(params["client_id"], redirect_uri, host, granted, challenge))
            return back_to(redirect_uri, {"code": code}, state)
        if decision == "deny":
            return back_to(redirect_uri, {"error": "access_denied"}, state)
        return self._page.ask(host.name, [(scope, MEANINGS[scope]) for scope in scopes], params)

    def _problem(self, params: dict[str, str], scopes: tuple[str, ...]) -> str:
        """Why the link cannot work, with Zoom's number for it; empty when it can."""
        client, wanted = params.get("client_id", ""), self._settings.zoom_client_id
        if not client or (wanted and client != wanted):
            return f"Invalid client_id: {client} (4,702)"
        if not is_absolute(params.get("redirect_uri", "")):
            return f"Invalid redirect: {params.get('redirect_uri', '')} (4,700)"
        if params.get("response_type") != "code":
            return "Invalid response_type (4,700)"
        if unknown := [scope for scope in scopes if scope not in MEANINGS]:
            return f"Invalid scope: {' '.join(unknown)} (4,700)"
        method = params.get("code_challenge_method", "")
        if (method or params.get("code_challenge")) and (
            method != "S256" or not params.get("code_challenge")
        ):
            return "Only the code_challenge_method S256 is supported (4,700)"
        return ""

    def _issue(self, consent: Consent) -> str:
        name = throw(self._settings.seed, "zoom code", self.codes.next_number(), self._clock.now())
        code = "".join(f"{int(part * 2**32):08x}" for part in name[:5]) + "_" + consent.host.id[:10]
        self.codes.add(code, consent)
        return code
