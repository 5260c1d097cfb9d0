"""A form of a JSON Schema: what a browser sends is what the person meant."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.web import schema_form


class Options(BaseModel):
    """Two boxes, one of which is ticked unless somebody takes the tick away."""

    chart: bool = Field(default=True, description="Send a chart")
    spreadsheet: bool = Field(default=False, description="Attach a spreadsheet")
    limit: float | None = Field(default=None, description="A number")
    accounts: tuple[str, ...] = Field(default=(), description="Ids")


FIELDS = schema_form.fields_of(Options.model_json_schema())


def read(**form: str) -> Options:
    return Options.model_validate(
        schema_form.read(FIELDS, {schema_form.PREFIX + name: [value] for name, value in form.items()})
    )


def test_a_tick_taken_away_is_an_answer() -> None:
    assert read(chart="yes") == Options()
    assert read() == Options(chart=False)
    assert read(spreadsheet="yes") == Options(chart=False, spreadsheet=True)


def test_what_is_left_empty_keeps_its_default() -> None:
    assert read(chart="yes", limit=" ", accounts="") == Options()
    assert read(chart="yes", limit="2.5", accounts="a\n\n b ") == Options(limit=2.5, accounts=("a", "b"))


def test_what_is_stored_is_shown_again() -> None:
    stored = Options(chart=False, accounts=("a", "b")).model_dump(mode="json")
    shown = schema_form.values_of(FIELDS, stored)
    assert shown["config.chart"] is False
    assert shown["config.accounts"] == "a\nb"
