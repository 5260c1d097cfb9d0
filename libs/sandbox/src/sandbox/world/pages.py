"""Facebook pages and what happened on them day by day."""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

from sandbox.world.dice import between, throw

_PAGE_TRAITS = (
    ("Brightpath Courses", "Education website", "2250"),
    ("Harbor Outdoor", "Sports & outdoor shop", "1404"),
    ("Studio Lumen", "Photographer", "2214"),
    ("Atlas Language School", "Language school", "2263"),
)
_EPOCH = date(2022, 1, 1)
_ONE_DAY = timedelta(days=1)
_WEEKDAYS = (0.96, 1.0, 1.04, 1.02, 1.0, 1.08, 1.12)
REACTIONS = ("like", "love", "wow", "haha", "sorry", "anger")
_REACTION_SHARES = (0.71, 0.93, 0.955, 0.98, 0.993, 1.0)


class PageDay(NamedTuple):
    """One day on a page."""

    media_views: int
    media_viewers: int
    page_views: int
    engagements: int
    video_views: int
    total_actions: int
    new_follows: int
    unfollows: int
    reactions: int


@dataclass(frozen=True)
class Page:
    """A page of the demo person."""

    id: str
    name: str
    category: str
    category_id: str
    seed: int

    @property
    def slug(self) -> str:
        return self.name.lower().replace(" ", "")

    @cached_property
    def size(self) -> float:
        """How large the audience is, from 0 to 1."""
        return throw(self.seed, "page", self.id)[0]

    def day(self, day: date) -> PageDay:
        """A pure function of the seed, the page and the day."""
        luck = throw(self.seed, self.id, day.toordinal())
        media_views = int(900 * 14**self.size * _WEEKDAYS[day.weekday()] * between(0.7, 1.35, luck[0]))
        viewers = int(media_views * between(0.55, 0.75, luck[1]))
        engagements = int(media_views * between(0.02, 0.07, luck[2]))
        unfollows = int(media_views * between(0.0002, 0.0012, luck[7]))
        return PageDay(
            media_views=media_views,
            media_viewers=viewers,
            page_views=int(media_views * between(0.03, 0.09, luck[3])),
            engagements=engagements,
            video_views=int(media_views * between(0.1, 0.3, luck[4])),
            total_actions=int(engagements * between(0.03, 0.12, luck[5])),
            new_follows=self.followers(day) - self.followers(day - _ONE_DAY) + unfollows,
            unfollows=unfollows,
            reactions=int(engagements * between(0.4, 0.7, luck[5])),
        )

    def followers(self, day: date) -> int:
        """Followers at the end of ``day``: never fewer than the day before, with a weekly rhythm."""
        rate = between(1.5, 6.0, self.size)
        age = max((day - _EPOCH).days, 0)
        return int(1_200 * 9**self.size + rate * (age + 0.9 * math.sin(age * math.tau / 7)))

    def fans(self, day: date) -> int:
        """People who like the page, always fewer than follow it."""
        return int(self.followers(day) * 0.94)


def split_reactions(total: int) -> dict[str, int]:
    """Reactions by kind, leaving out unused kinds."""
    split: dict[str, int] = {}
    given = 0
    for name, share in zip(REACTIONS, _REACTION_SHARES, strict=True):
        upto = int(total * share + 0.5)
        if upto > given:
            split[name] = upto - given
        given = upto
    return split


def make_pages(seed: int, count: int) -> tuple[Page, ...]:
    """The page ids are the same for every seed."""
    pages = []
    for index in range(count):
        name, category, category_id = _PAGE_TRAITS[index % len(_PAGE_TRAITS)]
        if index >= len(_PAGE_TRAITS):
            name = f"{name} {index // len(_PAGE_TRAITS) + 1}"
        pages.append(Page(str(106_480_015_220_000 + (index + 1) * 733), name, category, category_id, seed))
    return tuple(pages)
