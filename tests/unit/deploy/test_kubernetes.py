"""The Kubernetes manifests: hardened, probed, and naming only settings that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from api.settings import ApiSettings
from executor.settings import ExecutorSettings
from notifier.settings import NotifierSettings
from scheduler.settings import SchedulerSettings

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
SERVICES: dict[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "scheduler": SchedulerSettings,
    "executor": ExecutorSettings,
    "notifier": NotifierSettings,
}
SETTINGS = tuple(SERVICES.values())


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


def test_all_services_and_jobs_are_deployed() -> None:
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


def test_replicated_services_have_a_disruption_budget() -> None:
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


def _secrets(name: str) -> list[dict[str, Any]]:
    [container] = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    return [source["secretRef"] for source in container["envFrom"] if "secretRef" in source]


def test_the_scheduler_gets_only_the_stores_key() -> None:
    assert _secrets("scheduler") == [{"name": "carillon-store", "optional": True}]
    [container] = DEPLOYMENTS["scheduler"]["spec"]["template"]["spec"]["containers"]
    assert [variable["name"] for variable in container["env"]] == ["DATABASE_URL"]


@pytest.mark.parametrize(
    ("secret", "setting"),
    [
        ("carillon", "encryption_keys"),
        ("carillon-apps", "zoom_client_secret"),
        ("carillon-store", "recording_store_url"),
    ],
)
def test_secrets_are_given_only_to_services_that_use_them(secret: str, setting: str) -> None:
    given = {name for name in DEPLOYMENTS if secret in {source["name"] for source in _secrets(name)}}
    assert given == _with(setting)


def test_the_notes_about_secrets_name_existing_settings() -> None:
    known = {name.upper() for settings in SETTINGS for name in settings.model_fields}
    said = set(re.findall(r"[A-Z]+_[A-Z_]+", (FOLDER / "settings.yaml").read_text()))
    assert {name for name in said if not name.startswith("AWS_")} <= known
    assert {
        f"{name}_SECRET" for name in ("FACEBOOK_APP", "TIKTOK_APP", "TIKTOK_CLIENT", "ZOOM_CLIENT")
    } <= said


def test_services_with_a_store_share_a_writable_volume() -> None:
    url = _documents("ConfigMap")["carillon"]["data"]["RECORDING_STORE_URL"]
    [claim] = _documents("PersistentVolumeClaim").values()
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    sharing = set()
    for name, deployment in DEPLOYMENTS.items():
        pod = deployment["spec"]["template"]["spec"]
        names = {
            volume["name"]
            for volume in pod["volumes"]
            if volume.get("persistentVolumeClaim") == {"claimName": claim["metadata"]["name"]}
        }
        mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in names]
        if mounts:
            sharing.add(name)
            assert [f"file://{mount['mountPath']}" for mount in mounts] == [url]
            assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    assert sharing == _with("recording_store_url")


def _with(setting: str) -> set[str]:
    return {name for name, settings in SERVICES.items() if setting in settings.model_fields}
