"""What a template of the gallery is: an automation that is ready but for a few questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.connection_kinds import AdPlatform
from common.automation_config.values import Zone, unique
from common.strict import WholeNumber


class Category(StrEnum):
    """What people look for."""

    REPORTS = "reports"
    ALERTS = "alerts"
    DATA = "data"
    RECORDINGS = "recordings"


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """As schedules count them: Monday is 0."""
        return list(type(self)).index(self)


class Parameters(BaseModel):
    """The questions a template asks; each has a default unless only the team knows the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


TimeZone = Annotated[Zone, Field(description="IANA time zone, such as Europe/Berlin")]
RunsOn = Annotated[Weekday, Field(description="Day of the week it runs on")]
Hour = Annotated[WholeNumber, Field(ge=0, le=23, description="Hour of the day it runs at")]
AdPlatforms = Annotated[
    tuple[AdPlatform, ...],
    AfterValidator(unique),
    Field(min_length=1, description="Whose numbers it reads"),
]
P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a template makes of its answers; the API checks it like any other automation."""

    schedule: Mapping[str, Any]
    config: Mapping[str, Any]
    platforms: tuple[str, ...]
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GalleryTemplate(Generic[P]):
    """One template. `id` never changes; `fill` turns valid answers into an automation, and is pure."""

    id: str
    title: str
    summary: str
    category: Category
    automation_type: str
    platforms: tuple[str, ...]
    parameters: type[P]
    fill: Callable[[P], Draft]

    def draft(self, answers: Mapping[str, Any]) -> Draft:
        """The automation for these answers; raises pydantic's ValidationError."""
        return self.fill(self.parameters.model_validate(answers))
