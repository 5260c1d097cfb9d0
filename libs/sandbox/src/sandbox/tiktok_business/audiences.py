"""Cutting what was delivered by hour of the day and by who saw it."""

from itertools import product

from sandbox.world.dice import apportion
from sandbox.world.tiktok_ads import Delivery

_HOURS = (10, 7, 5, 4, 4, 5, 9, 16, 22, 25, 27, 30, 34, 33, 32, 34, 38, 45, 54, 62, 66, 60, 42, 22)
AUDIENCES: dict[str, tuple[tuple[str, float], ...]] = {
    "gender": (("FEMALE", 0.56), ("MALE", 0.41), ("NONE", 0.03)),
    "age": (
        ("AGE_18_24", 0.34),
        ("AGE_25_34", 0.31),
        ("AGE_35_44", 0.19),
        ("AGE_45_54", 0.1),
        ("AGE_55_100", 0.05),
        ("NONE", 0.01),
    ),
    "country_code": (("US", 0.44), ("DE", 0.27), ("GB", 0.17), ("JP", 0.12)),
    "platform": (("ANDROID", 0.55), ("IPHONE", 0.42), ("IPAD", 0.03)),
    "placement": (("TikTok", 0.94), ("Pangle", 0.06)),
    "language": (("en", 0.6), ("de", 0.25), ("ja", 0.15)),
}
COMBINABLE = frozenset({"gender", "age"})
HOUR_WEIGHTS = tuple(weight / sum(_HOURS) for weight in _HOURS)


def cells(dimensions: tuple[str, ...]) -> list[tuple[dict[str, str], float]]:
    """Every combination of the audience dimensions with its share; one that is all without any."""
    combined = []
    for combination in product(*(AUDIENCES[name] for name in dimensions)):
        share = 1.0
        for _, weight in combination:
            share *= weight
        labels = {name: value for name, (value, _) in zip(dimensions, combination, strict=True)}
        combined.append((labels, share))
    return combined


def split(total: Delivery, weights: tuple[float, ...]) -> list[Delivery]:
    """Parts that add up to ``total`` exactly, in every figure."""
    if len(weights) == 1:
        return [total]
    columns = [apportion(figure, weights) for figure in total]
    return [Delivery(*part) for part in zip(*columns, strict=True)]
