"""What a TikTok creator's profile and videos say of a period. Pure.

TikTok tells totals of the present only. Those of a profile are compared with what the automation remembers;
a video's belong to the period it was posted in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, tzinfo

from executor.reports.gather.profile_memory import Memory
from executor.reports.model.content import Pair, ProfileFigures, VideoFigures, VideoList
from platforms.calls.periods import Days
from platforms.tiktok_organic.client import Profile, Video

_TOTALS = ("followers", "likes", "videos")


def profile_figures(
    profile: Profile, memory: Memory, today: date, days: int, *, compares: bool
) -> ProfileFigures | None:
    """The profile's totals today; None where the creator granted none of them. Notes them in `memory`."""
    totals = {name: value for name in _TOTALS if (value := getattr(profile, name)) is not None}
    if not totals:
        return None
    before = memory.before(profile.open_id, today, days) if compares else None
    memory.note(profile.open_id, today, totals)
    day, remembered = before or (None, {})
    values = {name: Pair(value, remembered.get(name)) for name, value in totals.items()}
    return ProfileFigures(profile.open_id, profile.name, today, values, day)


def beginning(days: Days, zone: tzinfo) -> datetime:
    """The instant the first of the days begins."""
    return datetime.combine(days.since, time(), zone)


def video_list(
    profile_id: str,
    profile_name: str,
    videos: Sequence[Video],
    days: Days,
    zone: tzinfo,
    *,
    compares: bool,
) -> VideoList:
    """The videos posted in `days`, and how many were in the days before."""
    posted = [(video.created_at.astimezone(zone).date(), video) for video in videos]
    found = [
        VideoFigures(
            video.id,
            video.title,
            video.url,
            day,
            video.views,
            video.likes,
            video.comments,
            video.shares,
        )
        for day, video in posted
        if days.since <= day <= days.until
    ]
    before = days.before()
    count_before = sum(before.since <= day <= before.until for day, _ in posted)
    return VideoList(
        profile_id,
        profile_name,
        days,
        Pair(len(found), count_before if compares else None),
        sorted(found, key=lambda video: (-video.views, video.id)),
    )
