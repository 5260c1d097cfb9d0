"""The Kubernetes manifests: hardened, probed, and naming only settings that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import ApiSettings
from executor.settings import ExecutorSettings
from notifier.settings import NotifierSettings
from scheduler.settings import SchedulerSettings

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
SETTINGS = (ApiSettings, SchedulerSettings, ExecutorSettings, NotifierSettings)


def _documents(kind: str) -> dict[str, dict[str, Any]]:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    found: dict[str, dict[str, Any]] = {}
    for name in kustomization["resources"]:
        for document in yaml.safe_load_all((FOLDER / name).read_text()):
            if document["kind"] == kind:
                found[document["metadata"]["name"]] = document
    return found


DEPLOYMENTS = _documents("Deployment")
JOBS = _documents("Job")


def test_every_file_is_part_of_the_kustomization() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert {"kustomization.yaml", *kustomization["resources"]} == {
        path.name for path in FOLDER.iterdir() if path.is_file()
    }


def test_all_services_are_deployed_and_prepared_for() -> None:
    assert set(DEPLOYMENTS) == {"api", "scheduler", "executor", "notifier"}
    assert set(JOBS) == {"migrate", "topics"}


@pytest.mark.parametrize("workload", [*DEPLOYMENTS.values(), *JOBS.values()], ids=[*DEPLOYMENTS, *JOBS])
def test_a_pod_has_no_rights_it_does_not_need(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_service_is_probed_and_has_time_to_drain(name: str) -> None:
    pod = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    drain = float(_documents("ConfigMap")["carillon"]["data"]["DRAIN_TIMEOUT"])
    assert pod["terminationGracePeriodSeconds"] > 2 * drain


def test_what_has_replicas_keeps_one_through_a_disruption() -> None:
    several = {name for name, found in DEPLOYMENTS.items() if found["spec"]["replicas"] > 1}
    assert {"api", "scheduler", "executor"} <= several
    budgets = _documents("PodDisruptionBudget")
    assert set(budgets) == several
    for name, budget in budgets.items():
        assert budget["spec"]["selector"] == DEPLOYMENTS[name]["spec"]["selector"]


def test_selectors_match_their_pods() -> None:
    for deployment in DEPLOYMENTS.values():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_only_settings_that_exist_are_given() -> None:
    known = {name.upper() for settings in SETTINGS for name in settings.model_fields}
    assert set(_documents("ConfigMap")["carillon"]["data"]) <= known


def test_the_scheduler_is_given_no_key() -> None:
    [container] = DEPLOYMENTS["scheduler"]["spec"]["template"]["spec"]["containers"]
    assert [source for source in container["envFrom"] if "secretRef" in source] == []
    assert [variable["name"] for variable in container["env"]] == ["DATABASE_URL"]
