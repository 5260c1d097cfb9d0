from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.world.isobmff import SECONDS, duration, film, sound
from sandbox.world.media import Media, audio, video
from sandbox.world.meeting_ids import Place, Room, meeting_number, meeting_of, place_of, uuid_of
from sandbox.world.meeting_series import daily, spread
from sandbox.world.speech import talk, timestamp, webvtt
from sandbox.world.zoom_account import Directory

NOON = 1_795_262_400.0
places = st.builds(Place, st.integers(0, 29_999), st.integers(0, 0xFFFF), st.integers(0, 200_000))


@given(place=places, seed=st.integers(0, 99))
def test_a_uuid_names_its_meeting_and_only_to_its_own_seed(place: Place, seed: int) -> None:
    uuid = uuid_of(seed, place)
    assert len(uuid) == 24
    assert place_of(seed, uuid) == place
    assert place_of(seed + 1, uuid) is None
    assert place.number % 8 != 3 or uuid.startswith("/")
    assert place.number % 8 != 5 or "//" in uuid


@pytest.mark.parametrize(
    "uuid", ["", "x", "ODfDKShNRqKkXbGD09Sk4A==", "ODfDKShNRqKkXbGD09Sk4AAA", "\u00e4" * 24]
)
def test_a_uuid_that_names_nothing(uuid: str) -> None:
    assert place_of(1, uuid) is None


@given(host=st.integers(0, 29_999), number=st.integers(0, 200_000))
def test_a_number_leads_back_to_its_room_or_meeting(host: int, number: int) -> None:
    digits = meeting_number(host, number)
    assert 10**10 <= digits < 10**11
    expected = Room(host, number % 4) if number % 4 else Place(host, 0, number)
    assert meeting_of(digits) == expected


def test_numbers_of_different_meetings_differ() -> None:
    singles = [meeting_number(host, number) for host in range(50) for number in range(0, 400, 4)]
    rooms = [meeting_number(host, room) for host in range(50) for room in (1, 2, 3)]
    assert len({*singles, *rooms}) == len(singles) + len(rooms)
    assert meeting_number(0, 1) == meeting_number(0, 5)


@given(number=st.integers(0, 5_000), offset=st.integers(-1, 1))
def test_a_series_counts_what_begins_before(number: int, offset: int) -> None:
    for series in (daily("a"), spread("b", 6_000, 30, NOON)):
        moment = series.start(number) + offset
        expected = sum(series.start(n) < moment for n in range(max(number - 3, 0), number + 4))
        assert series.before(moment) == max(number - 3, 0) + expected


@pytest.mark.parametrize(("count", "days"), [(1, 1.0), (250, 30.0), (10_000, 0.5), (0, 3.0)])
def test_a_spread_lies_within_its_days_and_is_over(count: int, days: float) -> None:
    series = spread("x", count, days, NOON)
    assert series.before(NOON - days * 86_400) == 0
    assert series.before(NOON - days * 86_400 / 2 + 1) >= count // 2
    assert series.before(NOON) == count
    assert list(series.newest_first(0, NOON)) == list(range(count - 1, -1, -1))


def test_a_day_has_one_meeting_in_working_hours() -> None:
    series = daily("x")
    hours = [series.start(number) % 86_400 / 3_600 for number in range(500)]
    assert all(8 <= hour < 18 for hour in hours)
    assert len({series.start(number) // 86_400 for number in range(500)}) == 500


def test_films_last_as_long_as_they_say() -> None:
    assert duration(film()) == duration(sound()) == SECONDS
    for nothing in (b"", b"RIFF", film()[:40], b"\x00" * 200):
        assert duration(nothing) is None


@given(size=st.integers(0, 300_000), start=st.integers(0, 310_000), length=st.integers(0, 310_000))
def test_any_stretch_is_that_of_the_whole(size: int, start: int, length: int) -> None:
    media = video("x", size)
    whole = b"".join(media.read())
    assert len(whole) == media.size >= size
    assert b"".join(media.read(start, start + length)) == whole[start : start + length]


def test_a_large_file_is_made_in_small_pieces() -> None:
    media = audio("x", 5_000_000)
    assert max(len(piece) for piece in media.read()) <= 65_536
    assert sum(len(piece) for piece in media.read()) == 5_000_000
    assert sum(len(piece) for piece in Media(b"y" * 200_000, 200_000).read()) == 200_000


def test_what_is_said_is_well_formed() -> None:
    cues = talk("x", 3_700, 12)
    assert all(cue.start < cue.end for cue in cues)
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))
    text = webvtt(cues)
    assert text.startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert text.count(" --> ") == 12
    assert timestamp(3_661.5) == "01:01:01.500"
    assert timestamp(59.9996) == "00:01:00.000"


def test_people_are_found_by_id_and_address_and_leave_with_a_reset() -> None:
    directory = Directory(3)
    directory.grow(40)
    everybody = directory.page(0, 100)
    assert len({host.id for host in everybody}) == len({host.email for host in everybody}) == 40
    assert all(directory.find(host.id) is directory.find(host.email) is host for host in everybody)
    directory.reset()
    assert (len(directory), directory.find(everybody[3].id), directory.at(3)) == (3, None, None)
