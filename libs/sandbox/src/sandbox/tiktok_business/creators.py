"""What a creator's token reads on the Business host: the account and its videos."""

from datetime import date, timedelta
from itertools import islice
from typing import Any

from sandbox.clock import Clock
from sandbox.tiktok_business.errors import BusinessError, invalid
from sandbox.tiktok_business.request import BusinessRequest
from sandbox.world.tiktok_creators import Creator, Creators, Video

_PROFILE = (
    "username",
    "display_name",
    "profile_image",
    "is_business_account",
    "bio_description",
    "profile_deep_link",
    "is_verified",
    "followers_count",
    "following_count",
    "total_likes",
    "videos_count",
)
_DAILY = ("video_views", "profile_views", "likes", "comments", "shares")
_LONGEST_DAYS = 60
_VIDEO = (
    "item_id",
    "create_time",
    "caption",
    "share_url",
    "embed_url",
    "thumbnail_url",
    "video_duration",
    "video_views",
    "likes",
    "comments",
    "shares",
    "reach",
)


class CreatorAccounts:
    """GET /business/get/ and /business/video/list/."""

    def __init__(self, creators: Creators, clock: Clock) -> None:
        self._creators = creators
        self._clock = clock

    def account(self, request: BusinessRequest) -> dict[str, Any]:
        """The profile, and ``metrics`` by day when figures of days are asked for."""
        creator = self._creator(request)
        fields = _fields(request, (*_PROFILE, *_DAILY), _PROFILE[:4])
        known = self._profile(creator)
        answer: dict[str, Any] = {name: known[name] for name in fields if name in known}
        daily = [name for name in fields if name in _DAILY]
        if daily:
            answer["metrics"] = [
                {"date": day.isoformat(), **{name: creator.day(day)[name] for name in daily}}
                for day in self._days(request)
            ]
        return answer

    def videos(self, request: BusinessRequest) -> dict[str, Any]:
        """The newest first; ``cursor`` is the millisecond before which to go on."""
        creator = self._creator(request)
        fields = _fields(request, _VIDEO, ("item_id",))
        count = request.integer("max_count", 10, 1, 20)
        now = self._clock.now()
        cursor = request.integer("cursor", int(now * 1_000) + 1, 0, 10**15)
        ids = {str(one) for one in request.object("filters").get("video_ids", [])}
        older = (
            video for video in creator.videos(min(now, (cursor - 1) / 1_000)) if not ids or video.id in ids
        )
        found = list(islice(older, count + 1))
        shown = found[:count]
        return {
            "videos": [{name: _video(creator, video, now)[name] for name in fields} for video in shown],
            "cursor": shown[-1].created_at * 1_000 if shown else cursor,
            "has_more": len(found) > count,
        }

    def _creator(self, request: BusinessRequest) -> Creator:
        (business_id,) = request.need("business_id")
        if business_id != request.identity.open_id:
            raise BusinessError(40001, f"No permission to operate business account {business_id}.")
        return self._creators.named(request.identity.creator)

    def _profile(self, creator: Creator) -> dict[str, Any]:
        now = self._clock.now()
        return {
            "username": creator.username,
            "display_name": creator.display_name,
            "profile_image": f"https://p16-sign.tiktokcdn.example/{creator.username}.jpeg",
            "is_business_account": True,
            "bio_description": creator.bio,
            "profile_deep_link": f"https://vm.tiktok.com/{creator.username}",
            "is_verified": creator.number == 0,
            "followers_count": creator.followers(now),
            "following_count": creator.following,
            "total_likes": creator.likes(now),
            "videos_count": sum(1 for _ in creator.videos(now)),
        }

    def _days(self, request: BusinessRequest) -> list[date]:
        """UTC days, by default the last seven that are over."""
        yesterday = self._clock.instant().date() - timedelta(days=1)
        since = request.day("start_date") if request.has("start_date") else yesterday - timedelta(days=6)
        until = request.day("end_date") if request.has("end_date") else yesterday
        if since > until or (until - since).days >= _LONGEST_DAYS:
            raise invalid("start_date", f"The time range must be of 1 to {_LONGEST_DAYS} days.")
        days = (until - since).days + 1
        return [since + timedelta(days=offset) for offset in range(days)]


def _fields(request: BusinessRequest, allowed: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(request.strings("fields")))
    if unknown := [name for name in names if name not in allowed]:
        raise invalid("fields", f"Invalid fields: {unknown}.")
    return names or default


def _video(creator: Creator, video: Video, now: float) -> dict[str, Any]:
    views = video.views(now)
    return {
        "item_id": video.id,
        "create_time": str(video.created_at),
        "caption": video.description,
        "share_url": f"https://www.tiktok.com/@{creator.username}/video/{video.id}",
        "embed_url": f"https://www.tiktok.com/player/v1/{video.id}",
        "thumbnail_url": f"https://p16-sign.tiktokcdn.example/{video.id}.jpeg",
        "video_duration": float(video.seconds),
        "video_views": views,
        "likes": video.share_of(views, "like"),
        "comments": video.share_of(views, "comment"),
        "shares": video.share_of(views, "share"),
        "reach": int(views * 0.86),
    }
