"""Work waits for its event, and not for a broker that is silent."""

from __future__ import annotations

from common.work.patience import BROKER_SILENT_AFTER, WITHOUT_BROKER, Patience


def test_work_waits_less_while_any_consumer_hears_nothing() -> None:
    silences = [0.0, 0.0]
    patience = Patience(15)
    patience.watch(lambda: silences[0])
    patience.watch(lambda: silences[1])
    assert patience.seconds == 15
    silences[1] = BROKER_SILENT_AFTER + 0.1
    assert patience.seconds == WITHOUT_BROKER
    silences[1] = 0.0
    assert patience.seconds == 15


def test_a_silent_broker_makes_no_one_wait_longer() -> None:
    patience = Patience(0.2)
    patience.watch(lambda: 60.0)
    assert patience.seconds == 0.2
