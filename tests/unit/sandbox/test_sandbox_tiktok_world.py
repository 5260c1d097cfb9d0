from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from sandbox.world.tiktok_ads import NOTHING, TikTokAds
from sandbox.world.tiktok_creators import FIRST_POST, Creators
from tests.unit.sandbox.conftest import NOON

DAY = date(2026, 11, 3)


def delivered(seed: int, day: date = DAY) -> list[tuple[int, ...]]:
    world = TikTokAds(seed, 4)
    return [tuple(world.delivered(ad, day)) for one in world.advertisers for ad in one.ads]


def test_numbers_depend_on_the_seed_and_ids_do_not() -> None:
    assert delivered(1) == delivered(1)
    assert delivered(1) != delivered(2)
    assert [one.id for one in TikTokAds(1, 9).advertisers] == [one.id for one in TikTokAds(2, 9).advertisers]


def test_a_day_is_the_same_after_it_was_forgotten() -> None:
    small, large = TikTokAds(1, 1, keep=3), TikTokAds(1, 1)
    ads = list(large.advertisers[0].ads)
    days = [date(2026, 11, day) for day in range(1, 8)]
    assert [small.delivered(ad, day) for day in days for ad in ads] == [
        large.delivered(ad, day) for day in days for ad in ads
    ]


def test_ids_are_nineteen_digits_and_nobody_shares_one() -> None:
    world = TikTokAds(1, 40)
    ids = [one.id for one in world.advertisers]
    for advertiser in world.advertisers:
        for campaign in advertiser.campaigns:
            ids += [campaign.id, *(adgroup.id for adgroup in campaign.adgroups)]
        ids += [ad.id for ad in advertiser.ads]
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {19}


def test_no_more_is_counted_than_was_shown() -> None:
    world = TikTokAds(3, 3)
    for advertiser in world.advertisers:
        for ad in advertiser.ads:
            it = world.delivered(ad, DAY)
            assert it.impressions >= it.reach >= 0
            assert it.impressions >= it.clicks >= it.conversion >= it.real_time_conversion
            assert it.video_play_actions >= it.video_watched_2s >= it.video_watched_6s
            assert it.video_views_p25 >= it.video_views_p50 >= it.video_views_p75 >= it.video_views_p100
            assert bool(it.video_play_actions) == (ad.is_video and it.impressions > 0)


def test_yen_have_no_hundredths() -> None:
    world = TikTokAds(1, 3)
    (yen,) = [one for one in world.advertisers if one.currency == "JPY"]
    assert {world.delivered(ad, DAY).spend % 100 for ad in yen.ads} == {0}


def test_nothing_was_delivered_before_the_beginning() -> None:
    assert set(delivered(1, date(2022, 12, 31))) == {tuple(NOTHING)}


def test_zones_exist_and_agree_in_winter() -> None:
    world = TikTokAds(1, 6)
    winter = datetime(2026, 1, 15, 12, tzinfo=UTC)
    for one in world.advertisers:
        shown, fixed = ZoneInfo(one.display_timezone), ZoneInfo(one.timezone)
        assert winter.astimezone(shown).utcoffset() == winter.astimezone(fixed).utcoffset()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_video_is_found_by_its_id_once_it_was_posted(number: int) -> None:
    creator = Creators(1, 3).all[number]
    videos = list(creator.videos(NOON))
    assert len({video.id for video in videos}) == len(videos) > 300
    for video in videos:
        assert creator.video(video.id, NOON) == video
        assert creator.video(video.id, video.created_at - 1) is None
        assert FIRST_POST <= video.created_at <= NOON
    assert creator.video("9" * 20, NOON) is None
    assert creator.video("x", NOON) is None


def test_views_and_followers_never_fall() -> None:
    creator = Creators(1, 1).all[0]
    oldest = list(creator.videos(NOON))[-1]
    moments = [oldest.created_at + hours * 3_600 for hours in range(0, 200, 7)]
    views = [oldest.views(moment) for moment in moments]
    assert views == sorted(views)
    assert views[0] == 0 < views[-1]
    followers = [creator.followers(moment) for moment in moments]
    assert followers == sorted(followers)
    assert oldest.share_of(views[-1], "like") < views[-1]
