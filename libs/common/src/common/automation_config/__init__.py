"""Configuration of the automation types that come with Carillon.

They live here because two services read them: the API checks a new automation against them, and the executor
hands them to the handler. Types added by other packages announce their own schema at run time.
"""

from pydantic import BaseModel

from common.automation_config.alert import AlertConfig
from common.automation_config.data_sync import DataSyncConfig
from common.automation_config.recording_sync import RecordingSyncConfig
from common.automation_config.scheduled_report import ScheduledReportConfig

BUILT_IN: dict[str, type[BaseModel]] = {
    "alert": AlertConfig,
    "data_sync": DataSyncConfig,
    "recording_sync": RecordingSyncConfig,
    "scheduled_report": ScheduledReportConfig,
}
"""The configuration of each automation type that comes with Carillon, by type."""
