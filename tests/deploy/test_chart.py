"""The Helm chart, rendered and looked at. `make check` runs this with its helm."""

import copy
import math
import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import kubernetes_validate  # type: ignore[import-untyped]  # it has no types
import pytest
import yaml

import processor
from processor.connector.supervisor import STOP_MARGIN_S
from processor.local.programs import clean_environment, processor_command
from processor.settings import DeliverySettings, Settings, load
from tests.deploy import promql

HELM = os.environ.get("HELM", "helm")
CHART = Path(__file__).parents[2] / "deploy" / "helm" / "capillary-aep-processor"
CASES = ("minimal", "production", "static")
KUBERNETES = ("1.27", kubernetes_validate.latest_version())
"""The oldest that the chart names, and the newest whose schemas there are."""

SECRETS = "/run/secrets/processor"
CA = "/etc/processor-ca"
CUSTOM = {"PodMonitor", "PrometheusRule"}
"""Kinds of the Prometheus Operator, which Kubernetes' own schemas do not know."""

every = pytest.mark.parametrize("case", CASES)
Manifest = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HELM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "KUBECONFIG": os.devnull},
    )


def values_of(case: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text())
    return values


@cache
def rendered(case: str) -> tuple[Manifest, ...]:
    """Every manifest of a release with these values, ``helm test``'s included."""
    done = helm("template", "loyalty", CHART, "-n", "data", "-f", CHART / f"ci/{case}-values.yaml")
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


Render = Callable[[Mapping[str, Any]], subprocess.CompletedProcess[str]]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """``render(values)``: what helm says to values of our own."""

    def run(values: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(dict(values)))
        return helm("template", "loyalty", CHART, "-f", file)

    return run


def one(case: str, kind: str, name: str = "") -> Manifest:
    (found,) = [
        m for m in rendered(case) if m["kind"] == kind and m["metadata"]["name"].endswith(name)
    ]
    return found


def workload(case: str) -> Manifest:
    return one(case, "StatefulSet" if case == "static" else "Deployment")


def pods(case: str) -> Iterator[Manifest]:
    """The specs of every pod that the release makes."""
    yield workload(case)["spec"]["template"]["spec"]
    yield one(case, "Pod")["spec"]


def toml_of(case: str) -> str:
    text: str = one(case, "ConfigMap", "-processor")["data"]["processor.toml"]
    return text


# What Kubernetes takes.


@every
def test_helm_finds_no_fault(case: str) -> None:
    linted = helm("lint", "--strict", CHART, "-f", CHART / f"ci/{case}-values.yaml")

    assert linted.returncode == 0, linted.stdout + linted.stderr


@every
@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_knows_every_field(case: str, version: str) -> None:
    for manifest in rendered(case):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_release_has_these_parts() -> None:
    common = ["ConfigMap", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Service"]

    assert sorted(m["kind"] for m in rendered("minimal")) == sorted(
        [*common, "Deployment", "ServiceAccount"]
    )
    assert sorted(m["kind"] for m in rendered("production")) == sorted(
        [*common, "ConfigMap", "Deployment", "PodMonitor", "PrometheusRule", "ServiceAccount"]
    )


def test_chart_and_image_are_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    compose = yaml.safe_load((CHART.parents[2] / "docker-compose.yml").read_text())
    image = compose["services"]["processor"]["image"]

    assert chart["version"] == chart["appVersion"] == processor.__version__
    assert workload("minimal")["spec"]["template"]["spec"]["containers"][0]["image"] == image


# Rights.


@every
def test_a_container_has_no_right_that_it_does_not_use(case: str) -> None:
    for pod in pods(case):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert container["resources"]["limits"]["memory"]
        writable = [m["name"] for m in container["volumeMounts"] if not m.get("readOnly")]
        assert writable == ["tmp"]


def test_the_user_is_that_of_the_image() -> None:
    dockerfile = (CHART.parents[1] / "Dockerfile").read_text()

    assert "\nUSER 10001:10001\n" in dockerfile


@every
def test_kubernetes_gives_the_pod_neither_a_token_nor_variables(case: str) -> None:
    for pod in pods(case):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
    assert one(case, "ServiceAccount")["automountServiceAccountToken"] is False


# Secrets.


@every
def test_secrets_come_as_files_of_a_secret_that_is_there_already(case: str) -> None:
    assert "Secret" not in {manifest["kind"] for manifest in rendered(case)}
    for pod in pods(case):
        (volume,) = [v for v in pod["volumes"] if "secret" in v]
        assert volume["secret"] == {"secretName": "capillary-aep", "defaultMode": 0o440}
        (container,) = pod["containers"]
        assert "envFrom" not in container
        assert not [e for e in container["env"] if "secretKeyRef" in str(e)]
    assert (
        re.findall(r"_file\"? = \"(?!/run/secrets/processor/|/etc/processor-ca/)", toml_of(case))
        == []
    )


def with_value(path: str, value: object) -> dict[str, Any]:
    values = copy.deepcopy(values_of("minimal"))
    *tables, key = path.split("/")
    table = values
    for name in tables:
        table = table.setdefault(name, {})
    table[key] = value
    return values


@pytest.mark.parametrize(
    "path",
    [
        "settings/ims/client_secret",
        "settings/ims/client_secret_next",
        "settings/schema_registry/password",
        "settings/kafka/properties/sasl.password",
        "settings/kafka/properties/ssl.key.pem",
        "settings/kafka/properties/sasl.jaas.config",
        "settings/kafka/consumer/ssl.keystore.password",
        "settings/kafka/producer/sasl.oauthbearer.client.secret",
        "env/PROCESSOR_IMS__CLIENT_SECRET",
        "env/PROCESSOR_KAFKA__PROPERTIES__SASL_PASSWORD",
        "env/PROCESSOR_KAFKA__PROPERTIES__SSL_KEY_PEM",
    ],
)
def test_a_secret_among_the_values_is_refused_and_not_shown(path: str, render: Render) -> None:
    refused = render(with_value(path, "hunter2"))

    assert refused.returncode != 0
    assert path.rpartition("/")[2] in refused.stderr
    assert "existingSecret" in refused.stderr
    assert "hunter2" not in refused.stdout + refused.stderr


def test_a_password_in_the_address_of_a_proxy_is_refused(render: Render) -> None:
    refused = render(with_value("settings/ims/proxy", "http://me:hunter2@proxy:3128"))

    assert refused.returncode != 0
    assert "settings.ims.proxy" in refused.stderr
    assert "hunter2" not in refused.stdout + refused.stderr


# Settings.


def here(case: str, folder: Path) -> Path:
    """The settings file of the release with its mounted files, on this machine."""
    text = toml_of(case)
    for name in re.findall(rf'"{SECRETS}/([a-z_]+)"', text):
        secret = folder / name
        secret.write_text("a-value-of-the-tests-that-is-long-enough\n")
        secret.chmod(0o440)
    (folder / "ca.crt").write_bytes(Path(certifi.where()).read_bytes())
    config = folder / "processor.toml"
    config.write_text(text.replace(SECRETS, str(folder)).replace(CA, str(folder)))
    return config


def variables_of(case: str) -> dict[str, str]:
    (container,) = workload(case)["spec"]["template"]["spec"]["containers"]
    return {
        variable["name"]: variable.get("value", "loyalty-0")
        for variable in container["env"]
        if variable["name"] != "PROCESSOR_CONFIG"
    }


def settings_of(case: str, folder: Path) -> Settings:
    return load(here(case, folder), variables_of(case))


@every
def test_the_processor_takes_its_settings(case: str, tmp_path: Path) -> None:
    settings = settings_of(case, tmp_path)

    given = values_of(case)["settings"]
    assert settings.kafka.bootstrap_servers == given["kafka"]["bootstrap_servers"]
    assert settings.tasks_max == given.get("tasks_max", 1)
    assert set(settings.experience_platform.targets) == set(given["experience_platform"]["targets"])


@every
def test_its_preflight_has_nothing_against_them(case: str, tmp_path: Path) -> None:
    done = subprocess.run(
        processor_command("check", "--offline", "--config", str(here(case, tmp_path))),
        env={**clean_environment(), **variables_of(case)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_of_value_arrives_as_it_is(tmp_path: Path, render: Render) -> None:
    odd: dict[str, Any] = {
        "topics_regex": "^a\"\\.'b<&>é$",
        "consumer": {"session.timeout.ms": 45000, "check.crcs": True, "an odd name": 0.25},
    }
    values = values_of("minimal")
    values["settings"]["kafka"] |= odd
    values["settings"]["capillary"] = {"org_ids": [1, 12345678901]}
    values["settings"]["delivery"] = {"batch_max_bytes": 1000000, "linger_ms": 0}

    done = render(values)

    assert done.returncode == 0, done.stderr
    (config,) = [m for m in yaml.safe_load_all(done.stdout) if m and m["kind"] == "ConfigMap"]
    tables = tomllib.loads(config["data"]["processor.toml"])
    assert {key: tables["kafka"][key] for key in odd} == odd
    assert tables["capillary"]["org_ids"] == [1, 12345678901]
    assert tables["delivery"]["batch_max_bytes"] == 1000000
    assert tables["delivery"]["linger_ms"] == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("secrets/existingSecret", ""),
        ("settings/kafka/bootstrap_servers", ""),
        ("settings/kafka/topics", []),
        ("settings/ims/client_id", ""),
        ("settings/experience_platform/org_id", ""),
        ("settings/experience_platform/tenant", ""),
        ("settings/experience_platform/targets", None),
        ("staticMembership", True),
    ],
)
def test_what_is_missing_is_named(path: str, value: object, render: Render) -> None:
    refused = render(with_value(path, value))

    assert refused.returncode != 0
    assert path.replace("/", ".") in refused.stderr


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicas", 3),
        ("workload", "DaemonSet"),
        ("image/digest", "sha256:short"),
        ("terminationMarginSeconds", 5),
        ("settings/admin/host", "127.0.0.1"),
        ("settings/tasks_max", 0),
        ("networkPolicy/kafkaPort", 9092),
    ],
)
def test_a_value_that_means_nothing_is_refused(path: str, value: object, render: Render) -> None:
    refused = render(with_value(path, value))

    assert refused.returncode != 0
    assert path.rpartition("/")[2] in refused.stderr


def test_a_change_of_the_settings_rolls_the_pods(render: Render) -> None:
    def checksum(values: Mapping[str, Any]) -> str:
        done = render(values)
        assert done.returncode == 0, done.stderr
        (found,) = re.findall(r"checksum/config: (\w{64})", done.stdout)
        return str(found)

    before = checksum(values_of("minimal"))

    assert checksum(values_of("minimal")) == before
    assert checksum(with_value("settings/delivery/linger_ms", 50)) != before
    assert checksum(with_value("replicaCount", 5)) == before


def test_static_members_are_named_after_their_pods(tmp_path: Path) -> None:
    settings = settings_of("static", tmp_path)

    (container,) = workload("static")["spec"]["template"]["spec"]["containers"]
    (variable,) = [e for e in container["env"] if "valueFrom" in e]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert settings.kafka.consumer["group.instance.id"] == "loyalty-0"


# Life and death.


@every
def test_probes_ask_what_they_are_for(case: str) -> None:
    (container,) = workload(case)["spec"]["template"]["spec"]["containers"]
    asked = {
        kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")
    }

    assert asked == {
        "startup": {"path": "/livez", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }
    assert container["ports"] == [{"name": "admin", "containerPort": 8083}]


@every
def test_a_drain_has_time_to_end_before_kubernetes_kills(case: str) -> None:
    given = values_of(case)["settings"].get("delivery", {}).get("drain_timeout_s")
    drain_s = DeliverySettings().drain_timeout_s if given is None else given

    grace_s = workload(case)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert grace_s > drain_s + STOP_MARGIN_S
    assert grace_s == math.ceil(drain_s) + 25


@every
def test_pods_go_one_at_a_time(case: str) -> None:
    spec = workload(case)["spec"]

    if case == "static":
        assert spec["updateStrategy"] == {"type": "RollingUpdate"}
    else:
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    budget = one(case, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(("case", "tasks"), [("minimal", 1), ("production", 2)])
def test_memory_is_what_the_docs_say_a_container_takes(case: str, tasks: int) -> None:
    operate = (CHART.parents[2] / "docs" / "operate.md").read_text()
    found = re.search(r"(\d+) MiB for the supervisor.*?: (\d+) MiB with the defaults", operate)
    assert found is not None
    supervisor, task = map(int, found.groups())

    (container,) = workload(case)["spec"]["template"]["spec"]["containers"]

    need = (supervisor + tasks * task) * 4 // 3
    assert container["resources"]["limits"]["memory"] == f"{need}Mi"
    assert container["resources"]["requests"]["memory"] == f"{need}Mi"


# Network.


@every
def test_only_the_workers_are_counted_and_served(case: str) -> None:
    labels = workload(case)["spec"]["template"]["metadata"]["labels"]
    check = one(case, "Pod")["metadata"]["labels"]
    selectors = [
        workload(case)["spec"]["selector"]["matchLabels"],
        one(case, "Service")["spec"]["selector"],
        one(case, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]

    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= check.items()
    policy = one(case, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items() & check.items()
    assert one(case, "Service")["spec"]["publishNotReadyAddresses"] is True


def test_the_network_is_as_narrow_as_the_settings() -> None:
    policy = one("production", "NetworkPolicy")["spec"]
    names, out = policy["egress"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": "monitoring"}
                    }
                }
            ],
            "ports": [{"port": 8083, "protocol": "TCP"}],
        }
    ]
    assert {port["port"] for port in names["ports"]} == {53}
    # A proxy, HTTPS, the registry, the bootstrap servers, what brokers advertise.
    assert sorted(port["port"] for port in out["ports"]) == [443, 3128, 8081, 9093, 9094]
    assert "169.254.0.0/16" in out["to"][0]["ipBlock"]["except"]


# What can be seen.


def test_the_rules_are_the_alerts_with_links_to_a_runbook() -> None:
    base = "https://runbooks.example.com/capillary-aep"
    (group,) = one("production", "PrometheusRule")["spec"]["groups"]
    expected = copy.deepcopy(promql.rules())
    for rule in expected:
        url = rule["annotations"]["runbook_url"]
        rule["annotations"]["runbook_url"] = url.replace("docs/", f"{base}/")

    assert group["rules"] == expected


def test_the_dashboard_is_the_dashboard() -> None:
    manifest = one("production", "ConfigMap", "-dashboard")

    assert manifest["metadata"]["labels"]["grafana_dashboard"] == "1"
    (text,) = manifest["data"].values()
    assert yaml.safe_load(text) == promql.dashboard()


def test_every_pod_is_scraped() -> None:
    monitor = one("production", "PodMonitor")["spec"]
    template = workload("production")["spec"]["template"]
    (endpoint,) = monitor["podMetricsEndpoints"]

    assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert endpoint["port"] in [port["name"] for port in template["spec"]["containers"][0]["ports"]]
    assert endpoint["path"] == "/metrics"


def test_the_notes_say_what_to_do_next() -> None:
    values = CHART / "ci/minimal-values.yaml"

    shown = helm("install", "loyalty", CHART, "-n", "data", "-f", values, "--dry-run=client")

    assert shown.returncode == 0, shown.stderr
    assert "helm test loyalty --namespace data --logs" in shown.stdout
    assert "create secret generic capillary-aep --namespace data" in shown.stdout
