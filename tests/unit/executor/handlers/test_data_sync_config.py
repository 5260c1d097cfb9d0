"""What a data sync's configuration takes, and what it says of what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from common.automation_config.data_sync import DataSyncConfig

ID = "0190c1de-77a5-7c3a-9d2e-5f0f6a1c9b10"
HOOK = {"sync_type": "webhook", "webhook_url": "https://example.com/rows"}
STORE = {"sync_type": "database", "connection_id": ID, "table": "ads.days"}


@pytest.mark.parametrize(
    "given",
    [
        HOOK,
        {"sync_type": "webhook", "destination_id": ID},
        {**HOOK, "webhook_url": "http://127.0.0.1:9/hook"},  # the guard that connects knows what is allowed
        STORE,
        {**STORE, "table": "days"},
        {**STORE, "table": "Reports.Ad_Days$2"},
    ],
)
def test_a_configuration_with_a_target_is_accepted(given: dict[str, Any]) -> None:
    assert DataSyncConfig.model_validate(given).days == 3


@pytest.mark.parametrize(
    ("given", "where", "told"),
    [
        ({}, ("sync_type",), "required"),
        ({"sync_type": "ftp"}, ("sync_type",), "'webhook' or 'database'"),
        ({"sync_type": "webhook"}, ("webhook_url",), "webhook_url or destination_id is needed"),
        ({**HOOK, "webhook_url": "ftp://example.com"}, ("webhook_url",), "only http and https"),
        ({**HOOK, "webhook_url": "https://u:p@example.com"}, ("webhook_url",), "user name or a password"),
        ({**HOOK, "webhook_url": "https://"}, ("webhook_url",), "no host"),
        ({**STORE, "connection_id": None}, ("connection_id",), "connection_id is needed"),
        ({**STORE, "table": None}, ("table",), "table is needed"),
        ({**STORE, "table": "a.b.c"}, ("table",), "write schema.table"),
        ({**STORE, "table": 'days"; DROP TABLE x; --'}, ("table",), "write schema.table"),
        ({**STORE, "table": "1days"}, ("table",), "no digit first"),
        ({**STORE, "table": "d" * 64}, ("table",), "63 at most"),
        ({**STORE, "table": "pg_catalog.pg_class"}, ("table",), "PostgreSQL's own"),
        ({**STORE, "table": "Information_schema.x"}, ("table",), "PostgreSQL's own"),
        ({**HOOK, "metrics": []}, ("metrics",), "at least 1"),
        ({**HOOK, "metrics": ["spnd"]}, ("metrics",), "did you mean spend"),
        ({**HOOK, "metrics": ["spend", "spend"]}, ("metrics",), "write spend only once"),
        ({**HOOK, "level": "ad"}, ("level",), "'account' or 'campaign'"),
        ({**HOOK, "days": 0}, ("days",), "greater than or equal to 1"),
        ({**HOOK, "days": 29}, ("days",), "less than or equal to 28"),
        ({**HOOK, "start_date": "2026-02-30"}, ("start_date",), "valid date"),
        ({**HOOK, "timezone": "Mars/Olympus"}, ("timezone",), "Mars/Olympus"),
        ({**HOOK, "batch": 1}, ("batch",), "not permitted"),
    ],
)
def test_a_mistake_is_reported_with_the_valid_form(
    given: dict[str, Any], where: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        DataSyncConfig.model_validate(given)
    (fault,) = refused.value.errors()
    assert fault["loc"] == where
    assert told in fault["msg"]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:9/hook", False),
        ("http://localhost/hook", False),
        ("http://[::1]/hook", False),
        ("http://169.254.169.254/latest", False),
        ("https://db.internal/hook", False),
        ("http://hooks.lan:8080/x", True),
        ("https://example.com/x", True),
    ],
)
def test_private_hosts_are_rejected_where_the_allow_list_is_known(url: str, allowed: bool) -> None:
    def validate() -> DataSyncConfig:
        return DataSyncConfig.model_validate(
            {**HOOK, "webhook_url": url}, context={"allowed_hosts": {"hooks.lan:8080"}}
        )

    if allowed:
        assert validate().webhook_url == url
        return
    with pytest.raises(ValidationError) as refused:
        validate()
    (fault,) = refused.value.errors()
    assert fault["loc"] == ("webhook_url",)
