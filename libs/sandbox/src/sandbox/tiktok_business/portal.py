"""The page on which an advertiser lets an app in, and the reports that are downloaded by link."""

from sandbox.consent import ConsentPage, back_to, is_absolute
from sandbox.exchange import Answer
from sandbox.tiktok_business.errors import BusinessError
from sandbox.tiktok_business.oauth import BusinessOAuth
from sandbox.world.tiktok_ads import TikTokAds


class Portal:
    """GET /portal/auth shows the page, POST decides; ``sandbox_decision`` in a GET decides at once."""

    def __init__(self, oauth: BusinessOAuth, ads: TikTokAds, person: str) -> None:
        self._oauth = oauth
        self._ads = ads
        self._person = person
        self._page = ConsentPage("TikTok for Business")

    def answer(self, params: dict[str, str]) -> Answer:
        """The page, or the way back to the app. ``declined`` names advertisers the app may not see."""
        app_id, redirect_uri = params.get("app_id", ""), params.get("redirect_uri", "")
        try:
            self._oauth.check_app_id(app_id)
        except BusinessError as error:
            return self._page.refuse(error.message)
        if not is_absolute(redirect_uri):
            return self._page.refuse("The redirect_uri must be an absolute URL.")
        state, decision = params.get("state", ""), params.get("sandbox_decision", "")
        if decision == "allow":
            declined = tuple(sorted(filter(None, params.get("declined", "").split(","))))
            code = self._oauth.issue_code(app_id, declined)
            return back_to(redirect_uri, {"auth_code": code, "code": code}, state)
        if decision == "deny":
            return back_to(redirect_uri, {"error": "access_denied"}, state)
        wishes = [
            (it.id, f"Read the campaigns and reports of {it.name} ({it.currency})")
            for it in self._ads.advertisers
        ]
        return self._page.ask(self._person, wishes, params)
