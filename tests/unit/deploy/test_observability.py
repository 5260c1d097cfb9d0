"""Monitoring: the dashboard queries existing metrics, and the configurations fit together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY

from api import observation
from api.live import feed
from common import telemetry
from common.settings import TelemetrySettings

_PREFIXES = ("carillon_", "http_server_")
_NAME = r"(?:carillon|http_server)_[a-z_]+"
ROOT = Path(__file__).parents[3]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "carillon.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def _ours() -> dict[str, set[str]]:
    """Every time series of ours and its labels."""
    assert telemetry.RELAYED
    assert feed.SUBSCRIBERS
    assert observation.REQUESTS  # importing these modules has registered them
    found: dict[str, set[str]] = {}
    for collector in REGISTRY._collector_to_names:
        for name in REGISTRY._collector_to_names[collector]:
            if name.startswith(_PREFIXES):
                labels = set(getattr(collector, "_labelnames", ()))
                found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def test_the_dashboard_queries_existing_metrics_and_labels() -> None:
    ours = _ours()
    for expression in EXPRESSIONS:
        names = set(re.findall(_NAME, expression))
        assert names
        assert names <= set(ours), expression
        wanted = {
            label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")
        }
        wanted |= set(re.findall(r"[{,](\w+)=", expression))
        assert wanted <= set.union(*(ours[name] for name in names)), expression


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for expression in EXPRESSIONS for name in re.findall(_NAME, expression)}
    families = {re.sub(r"_(bucket|sum|count|created|total)$", "", name) for name in _ours()}
    assert {re.sub(r"_(bucket|total)$", "", name) for name in shown} == families


def test_legends_name_labels_their_query_keeps() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), target["expr"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert max(column for column, _ in taken) < 24


def test_prometheus_scrapes_existing_services_and_ports() -> None:
    [job] = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    ports = {name: found["port"] for found in job["dns_sd_configs"] for name in found["names"]}
    metrics = COMPOSE["services"]["api"]["environment"]["METRICS_PORT"]
    assert ports == {"api": metrics, "scheduler": 8000, "executor": 8000, "notifier": 8000}
    backend = set(COMPOSE["services"]["prometheus"]["networks"])
    for name in ports:
        assert backend & set(COMPOSE["services"][name]["networks"]), name


def test_the_trace_pipeline_is_complete() -> None:
    collector = yaml.safe_load((ROOT / "deploy" / "otel-collector.yaml").read_text())
    example = (ROOT / "deploy" / "carillon.env.example").read_text()
    [endpoint] = re.findall(r"^#(OTEL_\w+)=http://otel-collector:(\d+)$", example, re.MULTILINE)
    assert endpoint[0].lower() in TelemetrySettings.model_fields
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(f":{endpoint[1]}")
    exporter = collector["exporters"]["otlp"]["endpoint"].split(":")[0]
    both = set(COMPOSE["services"][exporter]["networks"]) & set(
        COMPOSE["services"]["otel-collector"]["networks"]
    )
    assert both
    pipeline = collector["service"]["pipelines"]["traces"]
    assert set(pipeline["receivers"]) == set(collector["receivers"])
    assert set(pipeline["processors"]) == set(collector["processors"])
    assert set(pipeline["exporters"]) == set(collector["exporters"])


def test_grafana_has_the_dashboards_data_sources() -> None:
    provisioned = yaml.safe_load(
        (ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "carillon.yaml").read_text()
    )
    known = {source["uid"] for source in provisioned["datasources"]}
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} <= known
    for source in provisioned["datasources"]:
        assert source["url"].split("//")[1].split(":")[0] in COMPOSE["services"]
