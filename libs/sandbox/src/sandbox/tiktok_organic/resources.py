"""The person and their videos, with a scope for every field."""

from itertools import islice
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Call
from sandbox.tiktok_organic.errors import ApiError
from sandbox.tiktok_organic.tokens import Identity
from sandbox.world.tiktok_creators import Creator, Video

_SCOPE_OF = {
    **dict.fromkeys(
        ("open_id", "union_id", "avatar_url", "avatar_url_100", "avatar_large_url", "display_name"),
        "user.info.basic",
    ),
    **dict.fromkeys(("bio_description", "profile_deep_link", "is_verified", "username"), "user.info.profile"),
    **dict.fromkeys(("follower_count", "following_count", "likes_count", "video_count"), "user.info.stats"),
}
_VIDEO_FIELDS = (
    "id",
    "create_time",
    "cover_image_url",
    "share_url",
    "video_description",
    "duration",
    "height",
    "width",
    "title",
    "embed_html",
    "embed_link",
    "like_count",
    "comment_count",
    "share_count",
    "view_count",
    "is_aigc",
)
_LARGEST_PAGE = 20
_DEFAULT_PAGE = 10
_COVER_LIFE = 6 * 3_600
_CDN = "https://p16-sign.tiktokcdn.example"


class Resources:
    """The three endpoints that read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def user(self, call: Call, identity: Identity) -> dict[str, Any]:
        """GET /v2/user/info/."""
        fields = _fields(call, tuple(_SCOPE_OF))
        if "user.info.basic" not in identity.scopes:
            raise ApiError("scope_not_authorized")
        if missed := sorted({_SCOPE_OF[name] for name in fields} - set(identity.scopes)):
            raise ApiError(
                "scope_permission_missed",
                f"Additional scopes are required for the requested fields: {', '.join(missed)}.",
            )
        known = self._about(identity)
        return {"user": {name: known[name] for name in fields}}

    def videos(self, call: Call, identity: Identity) -> dict[str, Any]:
        """POST /v2/video/list/: the newest first, before the millisecond ``cursor``."""
        fields = _fields(call, _VIDEO_FIELDS)
        _require_videos(identity)
        count = _integer(call, "max_count", _DEFAULT_PAGE, 1, _LARGEST_PAGE)
        now = self._clock.now()
        cursor = _integer(call, "cursor", 0, 0, 10**15) or int(now * 1_000) + 1
        older = identity.creator.videos(min(now, (cursor - 1) / 1_000))
        found = list(islice(older, count + 1))
        shown = found[:count]
        return {
            "videos": [self._shown(identity.creator, video, fields) for video in shown],
            "cursor": shown[-1].created_at * 1_000 if shown else cursor,
            "has_more": len(found) > count,
        }

    def query(self, call: Call, identity: Identity) -> dict[str, Any]:
        """POST /v2/video/query/: the person's own videos among the given ids."""
        fields = _fields(call, _VIDEO_FIELDS)
        _require_videos(identity)
        filters = call.form.get("filters")
        ids = filters.get("video_ids") if isinstance(filters, dict) else None
        if not isinstance(ids, list) or not 1 <= len(ids) <= _LARGEST_PAGE:
            raise ApiError("invalid_params", f"video_ids must hold 1 to {_LARGEST_PAGE} ids.")
        now = self._clock.now()
        found = (identity.creator.video(str(one), now) for one in dict.fromkeys(map(str, ids)))
        return {"videos": [self._shown(identity.creator, video, fields) for video in found if video]}

    def _about(self, identity: Identity) -> dict[str, Any]:
        creator, now = identity.creator, self._clock.now()
        avatar = f"{_CDN}/{creator.username}"
        return {
            "open_id": identity.open_id,
            "union_id": creator.union_id,
            "avatar_url": f"{avatar}~168x168.jpeg",
            "avatar_url_100": f"{avatar}~100x100.jpeg",
            "avatar_large_url": f"{avatar}~1080x1080.jpeg",
            "display_name": creator.display_name,
            "bio_description": creator.bio,
            "profile_deep_link": f"https://vm.tiktok.com/{creator.username}",
            "is_verified": creator.number == 0,
            "username": creator.username,
            "follower_count": creator.followers(now),
            "following_count": creator.following,
            "likes_count": creator.likes(now),
            "video_count": sum(1 for _ in creator.videos(now)),
        }

    def _shown(self, creator: Creator, video: Video, fields: tuple[str, ...]) -> dict[str, Any]:
        now = self._clock.now()
        views = video.views(now)
        embed = f"https://www.tiktok.com/player/v1/{video.id}"
        known = {
            "id": video.id,
            "create_time": video.created_at,
            "cover_image_url": f"{_CDN}/{video.id}.jpeg?x-expires={int(now) + _COVER_LIFE}",
            "share_url": f"https://www.tiktok.com/@{creator.username}/video/{video.id}",
            "video_description": video.description,
            "duration": video.seconds,
            "height": 1024,
            "width": 576,
            "title": video.title,
            "embed_html": f'<iframe src="{embed}"></iframe>',
            "embed_link": embed,
            "like_count": video.share_of(views, "like"),
            "comment_count": video.share_of(views, "comment"),
            "share_count": video.share_of(views, "share"),
            "view_count": views,
            "is_aigc": False,
        }
        return {name: known[name] for name in fields}


def _require_videos(identity: Identity) -> None:
    if "video.list" not in identity.scopes:
        raise ApiError("scope_not_authorized")


def _fields(call: Call, allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The fields of the query string, without which nothing is answered."""
    names = tuple(dict.fromkeys(filter(None, call.query.get("fields", "").replace(" ", "").split(","))))
    if not names:
        raise ApiError("invalid_params", "Fields is required.")
    if unknown := [name for name in names if name not in allowed]:
        raise ApiError("invalid_params", f"Invalid fields: {', '.join(unknown)}.")
    return names


def _integer(call: Call, name: str, default: int, low: int, high: int) -> int:
    value = call.form.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ApiError("invalid_params", f"{name} must be a number from {low} to {high}.")
    return value
