"""The page on which a creator lets an app in. Its codes serve the organic and the Business API alike."""

from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.codes import OneTimeCodes
from sandbox.consent import ConsentPage, back_to, is_absolute
from sandbox.exchange import Answer
from sandbox.settings import Settings
from sandbox.world.dice import throw
from sandbox.world.tiktok_creators import Creator, Creators

_CODE_LIFE = 600.0
_CHALLENGE_LENGTHS = range(43, 129)
SCOPES = {
    "user.info.basic": "See your profile picture and display name",
    "user.info.profile": "See your biography, profile link and verification",
    "user.info.stats": "See your follower, like and video counts",
    "video.list": "See your public videos",
    "user.info.username": "See your username",
    "user.account.type": "See what type of account you have",
    "user.insights": "See the insights of your account",
    "video.insights": "See the insights of your videos",
    "video.upload": "Upload drafts to your account",
    "video.publish": "Post to your account",
}
"""Every scope that can be asked for, with what the person reads."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a creator's code stands for."""

    client: str
    redirect_uri: str
    creator: Creator
    scopes: tuple[str, ...]
    challenge: str
    """PKCE's code_challenge; empty when the app used none."""


class CreatorConsents:
    """GET /v2/auth/authorize/ shows the page, POST decides; ``sandbox_decision`` in a GET decides at once."""

    def __init__(self, settings: Settings, clock: Clock, creators: Creators) -> None:
        self._settings = settings
        self._clock = clock
        self._creators = creators
        self._page = ConsentPage("TikTok")
        self.codes: OneTimeCodes[Consent] = OneTimeCodes(clock, _CODE_LIFE)

    def reset(self) -> None:
        """Forget all codes."""
        self.codes.reset()

    def answer(self, params: dict[str, str]) -> Answer:
        """The page, or the way back. ``sandbox_creator`` chooses who signs in, ``declined`` names scopes."""
        scopes = tuple(dict.fromkeys(filter(None, params.get("scope", "").replace(" ", ",").split(","))))
        if problem := self._problem(params, scopes):
            return self._page.refuse(problem)
        creator = self._creators.named(params.get("sandbox_creator", ""))
        redirect_uri, state = params["redirect_uri"], params.get("state", "")
        decision = params.get("sandbox_decision", "")
        if decision == "allow":
            declined = params.get("declined", "").split(",")
            granted = tuple(scope for scope in scopes if scope not in declined)
            challenge = params.get("code_challenge", "")
            code = self._issue(Consent(params["client_key"], redirect_uri, creator, granted, challenge))
            return back_to(redirect_uri, {"code": code, "scopes": ",".join(granted)}, state)
        if decision == "deny":
            refusal = {"error": "access_denied", "error_description": "The user denied your request."}
            return back_to(redirect_uri, refusal, state)
        return self._page.ask(creator.display_name, [(name, SCOPES[name]) for name in scopes], params)

    def _problem(self, params: dict[str, str], scopes: tuple[str, ...]) -> str:
        """Why the link cannot work; empty when it can."""
        client = params.get("client_key", "")
        known = {self._settings.tiktok_client_key, self._settings.tiktok_app_id} - {""}
        if not client or (self._settings.tiktok_client_key and client not in known):
            return "client_key"
        if not is_absolute(params.get("redirect_uri", "")):
            return "redirect_uri"
        if params.get("response_type") != "code":
            return "unsupported_response_type"
        if not scopes or any(scope not in SCOPES for scope in scopes):
            return "invalid_scope"
        challenge = params.get("code_challenge", "")
        method = params.get("code_challenge_method", "")
        if (challenge or method) and (method != "S256" or len(challenge) not in _CHALLENGE_LENGTHS):
            return "code_challenge"
        return ""

    def _issue(self, consent: Consent) -> str:
        """A code; its * and ! show whether the app decodes what comes in the address."""
        name = throw(self._settings.seed, "code", self.codes.next_number(), self._clock.now())
        code = "".join(f"{int(part * 2**32):08x}" for part in name[:6]) + "*1!4512.e1"
        self.codes.add(code, consent)
        return code
