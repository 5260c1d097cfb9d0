"""TikTok creators, the videos they posted, and how often those were seen."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, lru_cache

from sandbox.world.dice import between, throw

_CREATORS = (
    ("brightpath", "Brightpath Courses", "Learn something new every evening."),
    ("kitchenandco", "Kitchen & Co", "Recipes that work, tools that last."),
    ("miraifitness", "Mirai Fitness", "Ten minutes a day."),
    ("harboroutdoor", "Harbor Outdoor", "Rain is just weather."),
)
_TITLES = (
    "3 mistakes beginners make",
    "Before and after",
    "What we learnt this week",
    "Behind the scenes",
    "You asked, we answer",
    "Try this today",
    "The one trick that stuck",
)
_TAGS = ("#learnontiktok", "#fyp", "#howto", "#smallbusiness")
FIRST_POST = 1_704_103_200
"""Unix seconds: 2024-01-01 10:00 UTC."""
_STEP = 140_000
"""Seconds between two slots in which a creator posts; a few of them stay empty."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Video:
    """One post. Its id holds the second it was created in, as TikTok's own ids do."""

    id: str
    created_at: int
    title: str
    description: str
    seconds: int
    seed: int

    @property
    def audience(self) -> float:
        """How well it does, from 0 to 1; few do really well."""
        return throw(self.seed, "video", self.id)[0] ** 3

    def views(self, now: float) -> int:
        """Views by Unix second ``now``: most in the first days, and never fewer than before."""
        age = max(now - self.created_at, 0.0) / _DAY
        return int(240.0 * 900.0**self.audience * (1.0 - math.exp(-age / 2.5) + 0.004 * age))

    def share_of(self, views: int, name: str) -> int:
        """Likes, comments or shares that so many views led to."""
        low, high = {"like": (0.03, 0.11), "comment": (0.001, 0.006), "share": (0.001, 0.008)}[name]
        return int(views * between(low, high, throw(self.seed, name, self.id)[0]))


@dataclass(frozen=True)
class Creator:
    """A TikTok account that can be connected."""

    number: int
    username: str
    display_name: str
    bio: str
    seed: int

    def open_id(self, client: str) -> str:
        """The person's id, another one for every app."""
        return _uuid(self.seed, "open", client, self.username)

    @property
    def union_id(self) -> str:
        """The person's id for all apps of one developer."""
        return _uuid(self.seed, "union", self.username)

    @cached_property
    def size(self) -> float:
        """How large the audience is, from 0 to 1."""
        return throw(self.seed, "creator", self.username)[0]

    def followers(self, now: float) -> int:
        """Followers at Unix second ``now``; never fewer than before."""
        age = max(now - FIRST_POST, 0.0) / _DAY
        return int(800 * 12**self.size + age * between(2.0, 9.0, self.size))

    @property
    def following(self) -> int:
        return 40 + int(160 * throw(self.seed, "following", self.username)[0])

    def videos(self, until: float) -> Iterator[Video]:
        """Everything posted by Unix second ``until``, the newest first."""
        for slot in range(int((until - FIRST_POST) // _STEP), -1, -1):
            video = self._video(slot)
            if video is not None and video.created_at <= until:
                yield video

    def video(self, video_id: str, now: float) -> Video | None:
        """The creator's video of that id, or None when they have none (yet)."""
        if not video_id.isdigit() or len(video_id) > 20:
            return None
        created_at = int(video_id) >> 32
        if not FIRST_POST <= created_at <= now:
            return None
        video = self._video((created_at - FIRST_POST) // _STEP)
        return video if video is not None and video.id == video_id else None

    def likes(self, now: float) -> int:
        """Likes of all videos together, a minute behind at most."""
        return _likes(self, int(now) // 60)

    def day(self, day: date) -> dict[str, int]:
        """What happened on the profile on one UTC day."""
        chances = throw(self.seed, "profile", self.username, day.toordinal())
        views = int(600 * 20**self.size * between(0.6, 1.5, chances[0]))
        return {
            "video_views": views,
            "profile_views": int(views * between(0.02, 0.06, chances[1])),
            "likes": int(views * between(0.03, 0.1, chances[2])),
            "comments": int(views * between(0.001, 0.006, chances[3])),
            "shares": int(views * between(0.001, 0.008, chances[4])),
            "followers_count": self.followers(_end_of(day)),
        }

    def _video(self, slot: int) -> Video | None:
        chances = throw(self.seed, "post", self.username, slot)
        if chances[0] < 0.12:
            return None
        created_at = FIRST_POST + slot * _STEP + int(chances[1] * (_STEP - 3_600))
        title = _TITLES[int(chances[2] * len(_TITLES))]
        low = int(chances[3] * 2**20) << 12 | self.number
        return Video(
            id=str(created_at << 32 | low),
            created_at=created_at,
            title=title,
            description=f"{title} {_TAGS[int(chances[4] * len(_TAGS))]}",
            seconds=9 + int(chances[5] * 80),
            seed=self.seed,
        )


class Creators:
    """Every creator of one seed."""

    def __init__(self, seed: int, count: int) -> None:
        self.all = tuple(_make(seed, index) for index in range(max(count, 1)))
        self._by_name = {creator.username: creator for creator in self.all}

    def named(self, text: str) -> Creator:
        """The creator whose username ``text`` begins with, else the first."""
        return self._by_name.get(text.partition("-")[0], self.all[0])


def _make(seed: int, index: int) -> Creator:
    username, display_name, bio = _CREATORS[index % len(_CREATORS)]
    if index >= len(_CREATORS):
        copy = index // len(_CREATORS) + 1
        username, display_name = f"{username}{copy}", f"{display_name} {copy}"
    return Creator(index, username, display_name, bio, seed)


@lru_cache(maxsize=64)
def _likes(creator: Creator, minute: int) -> int:
    now = minute * 60.0
    return sum(video.share_of(video.views(now), "like") for video in creator.videos(now))


def _uuid(*name: object) -> str:
    digits = "".join(f"{int(chance * 2**32):08x}" for chance in throw(*name)[:4])
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _end_of(day: date) -> float:
    return float((day + timedelta(days=1) - date(1970, 1, 1)).days * _DAY - 1)
