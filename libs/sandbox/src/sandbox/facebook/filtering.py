"""The ``filtering`` parameter of insights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.facebook.errors import GraphError, invalid_parameter
from sandbox.facebook.insight_fields import COLUMNS, Row
from sandbox.world.ads import Ad, AdSet, Campaign
from sandbox.world.population import World

_ENTITIES = ("campaign", "adset", "ad")
_PROPERTIES = ("id", "name", "effective_status", "configured_status", "objective")
_METRICS = frozenset({"impressions", "clicks", "spend", "reach", "frequency", "ctr", "cpc", "cpm", "cpp"})

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions on which ads count, and on which rows are shown."""

    entities: tuple[tuple[str, str, Test], ...] = ()
    metrics: tuple[tuple[str, Test], ...] = ()

    @property
    def names_status(self) -> bool:
        """Whether the states of objects are chosen; otherwise those that were deleted are left out."""
        return any(name == "effective_status" for _, name, _ in self.entities)

    def takes(self, world: World, ad: Ad) -> bool:
        """Whether the ad counts."""
        return all(test(_property(world, ad, entity, name)) for entity, name, test in self.entities)

    def keeps(self, row: Row) -> bool:
        return all(test(float(COLUMNS[name](row) or 0)) for name, test in self.metrics)


def parse_filters(conditions: list[Any]) -> Filters:
    """Read the JSON list; raises code 100."""
    entities = []
    metrics = []
    for condition in conditions:
        if not isinstance(condition, dict) or not {"field", "operator"} <= condition.keys():
            raise invalid_parameter("Param filtering must be an array of {field, operator, value}")
        field = str(condition["field"])
        entity, _, name = field.replace("_group", "").rpartition(".")
        test = _test(str(condition["operator"]).upper(), condition.get("value"))
        if name in _METRICS:
            metrics.append((name, test))
        elif entity in _ENTITIES and name in _PROPERTIES:
            entities.append((entity, name, test))
        else:
            raise GraphError(
                100,
                f"(#100) Filtering field '{field}' with operation "
                f"'{str(condition['operator']).lower()}' is not supported",
            )
    return Filters(tuple(entities), tuple(metrics))


def _property(world: World, ad: Ad, entity: str, name: str) -> str:
    campaign = ad.adset.campaign
    if name == "objective":
        return campaign.objective
    nodes: dict[str, Campaign | AdSet | Ad] = {"campaign": campaign, "adset": ad.adset, "ad": ad}
    node = nodes[entity]
    if name in ("effective_status", "configured_status"):
        return world.status(node)
    return node.id if name == "id" else node.name


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float):
        return left == _number(right)
    return str(left).lower() == str(right).lower()


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise invalid_parameter("Param filtering: value must be a number") from None


def _test(operator: str, value: Any) -> Test:
    values: list[Any] = value if isinstance(value, list) else [value]
    tests: dict[str, Test] = {
        "EQUAL": lambda it: _same(it, value),
        "NOT_EQUAL": lambda it: not _same(it, value),
        "GREATER_THAN": lambda it: float(it) > _number(value),
        "GREATER_THAN_OR_EQUAL": lambda it: float(it) >= _number(value),
        "LESS_THAN": lambda it: float(it) < _number(value),
        "LESS_THAN_OR_EQUAL": lambda it: float(it) <= _number(value),
        "IN_RANGE": lambda it: _number(values[0]) <= float(it) <= _number(values[-1]),
        "NOT_IN_RANGE": lambda it: not _number(values[0]) <= float(it) <= _number(values[-1]),
        "IN": lambda it: any(_same(it, one) for one in values),
        "ANY": lambda it: any(_same(it, one) for one in values),
        "NOT_IN": lambda it: not any(_same(it, one) for one in values),
        "NONE": lambda it: not any(_same(it, one) for one in values),
        "CONTAIN": lambda it: str(value).lower() in str(it).lower(),
        "NOT_CONTAIN": lambda it: str(value).lower() not in str(it).lower(),
        "STARTS_WITH": lambda it: str(it).lower().startswith(str(value).lower()),
    }
    if operator not in tests:
        raise invalid_parameter(
            f"filtering[operator] must be one of the following values: {', '.join(sorted(tests))}"
        )
    return tests[operator]
