"""Which of two sightings of a limit stands."""

from __future__ import annotations

import pytest

from platforms.calls.shared_usage import standing
from platforms.calls.usage import MIN_WAIT, Sighting, Usage


def seen(percent: float, at: float, regain: float = 0.0) -> Sighting:
    return Sighting(Usage(percent, regain), at)


@pytest.mark.parametrize(
    ("known", "news", "stands"),
    [
        (None, seen(10, 100), "news"),
        (seen(80, 100), seen(20, 101), "news"),
        (seen(20, 101), seen(80, 100), "known"),
        (seen(100, 100, 600), seen(40, 101), "known"),
        (seen(40, 101), seen(100, 100, 600), "news"),
        (seen(100, 100, 600), seen(40, 701), "news"),
        (seen(100, 100, 600), seen(97, 110, 60), "news"),
        (seen(100, 100), seen(40, 100 + MIN_WAIT - 1), "known"),
    ],
    ids=[
        "nothing was known",
        "the later",
        "the later, heard of first",
        "full until its time, whatever was on its way",
        "full until its time, heard of afterwards",
        "full until its time, which has come",
        "what the platform says of a full bucket last",
        "full for a minute where no time is told",
    ],
)
def test_standing(known: Sighting | None, news: Sighting, stands: str) -> None:
    assert standing(known, news) is (news if stands == "news" else known)
