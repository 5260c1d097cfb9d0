"""Settings of an executor that reaches nothing."""

from __future__ import annotations

import pytest

from common.secrets.crypto import new_encryption_key
from executor.settings import ExecutorSettings
from tests.unit.platforms.facebook.fake_graph import ENDPOINT


@pytest.fixture
def settings() -> ExecutorSettings:
    return ExecutorSettings(
        database_url="postgresql://nobody@localhost/none",
        kafka_bootstrap_servers="localhost:1",
        encryption_keys=new_encryption_key("test"),
        facebook_base_url=ENDPOINT.base_url,
        facebook_api_version=ENDPOINT.version,
    )
