"""The gallery: every template makes an automation that the API takes, whatever is answered."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, ValidationError

from api.gallery.base import Category
from api.gallery.schemas import FromTemplate
from api.gallery.service import filled, shown
from api.gallery.templates import TEMPLATES, AnyTemplate
from api.web import schema_form
from common.automation_config import BUILT_IN
from common.errors import Unprocessable
from common.scheduling import parse_schedule

EVERY = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
ONLY_THE_TEAM_KNOWS: dict[str, Any] = {
    "max_daily_spend": 500,
    "max_cost": 25,
    "connection_id": str(uuid4()),
    "destination_id": str(uuid4()),
    "templates": [12, 14],
}


def answers(template: AnyTemplate, **given: Any) -> dict[str, Any]:
    """What must be answered, and what is given."""
    needed = [name for name, field in template.parameters.model_fields.items() if field.is_required()]
    return {**{name: ONLY_THE_TEAM_KNOWS[name] for name in needed}, **given}


def wanted(template_id: str, **given: Any) -> FromTemplate:
    return FromTemplate(template=template_id, destination_id=uuid4(), parameters=given)


@EVERY
def test_its_defaults_make_a_valid_automation(template: AnyTemplate) -> None:
    made = filled(wanted(template.id, **answers(template)))
    parse_schedule(made.schedule_config)
    config: type[BaseModel] = BUILT_IN[made.type]
    config.model_validate(made.automation_config)
    assert made.platforms
    assert set(made.platforms) <= set(template.platforms)
    assert made.name == template.title


@EVERY
def test_people_can_answer_its_questions_in_the_console(template: AnyTemplate) -> None:
    fields = schema_form.fields_of(template.parameters.model_json_schema())
    asked = {field.name for field in fields if field.kind == "json"}
    assert asked <= {"templates"}, "a person would have to write JSON"
    assert all(field.help for field in fields), "a question that does not say what it asks"


@EVERY
def test_it_says_what_it_is_in_a_sentence(template: AnyTemplate) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", template.id)
    assert template.summary.endswith(".")
    assert shown(template).parameters_schema["type"] == "object"


def test_there_is_something_of_every_kind() -> None:
    assert len(TEMPLATES) >= 8
    assert {template.category for template in TEMPLATES.values()} == set(Category)
    assert {template.automation_type for template in TEMPLATES.values()} == set(BUILT_IN)


@pytest.mark.parametrize(
    ("template_id", "given", "pointer"),
    [
        ("daily-ad-report", {"hour": 24}, "/parameters/hour"),
        ("daily-ad-report", {"timezone": "Europe/Berln"}, "/parameters/timezone"),
        ("daily-ad-report", {"platforms": ["zoom"]}, "/parameters/platforms/0"),
        ("daily-ad-report", {"hours": 8}, "/parameters/hours"),
        ("budget-guard", {}, "/parameters/max_daily_spend"),
        ("warehouse-sync", {"connection_id": str(uuid4()), "table": "a b"}, "/parameters/table"),
        ("no-such", {}, "/template"),
    ],
)
def test_a_wrong_answer_is_named(template_id: str, given: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        filled(wanted(template_id, **given))
    assert refused.value.errors[0].pointer.startswith(pointer)


def test_the_weekday_asked_for_is_the_one_it_runs_on() -> None:
    made = filled(wanted("page-growth", weekday="sunday", hour=7))
    assert made.schedule_config["days"] == [6]


def test_an_automation_of_no_name_is_refused() -> None:
    with pytest.raises(ValidationError):
        FromTemplate(template="page-growth", destination_id=uuid4(), name=" ")
