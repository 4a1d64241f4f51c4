"""The chart, installed by helm into a real API server, and its replicas run as it says.

There is no node: `tests.chart.kubelet` runs the Pods' containers as processes, with the arguments
and the service account that the chart gave them, and `tests.chart.egress` is the way to them. The
control plane is one of its own, since the chart's webhook judges every namespace.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.chart.egress import Egress
from tests.chart.helm import CHART, MAJORS, NAMESPACE, RELEASE, Helm
from tests.chart.kubelet import Container, Kubelet
from tests.chart.variants import CRDS, VARIANTS
from tests.e2e.api import Answer, Api, Json
from tests.e2e.cluster import (
    NODES,
    SERVICE_NAME,
    Namespace,
    endpoints,
    eventually,
    node,
    pod,
    pod_address,
    refuses,
    service,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.report_crds import OPEN_REPORTS, POLICY_REPORTS
from tests.e2e.test_certificates import Writer
from tests.e2e.webhook_process import writer
from webhook.core.rules import RULES
from webhook.telemetry.catalogue import AUDIT_METRICS, METRICS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
AUDIT = f"{RELEASE}-audit"
# What the tests cannot wait for: a minute and a half until a replica has stopped.
VALUES: Json = {"drainSeconds": 0.5}
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@pytest.fixture(scope="module")
def egress() -> Iterator[Egress]:
    # Not tmp_path: the path of a socket may have 107 characters.
    with (
        tempfile.TemporaryDirectory(prefix="endpoints-guard-egress-") as scratch,
        Egress.running(Path(scratch)) as proxy,
    ):
        yield proxy


@pytest.fixture(scope="module")
def plane(egress: Egress, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    scratch = tmp_path_factory.mktemp("chart-plane")
    audit = scratch / "audit.json"
    audit.write_text(json.dumps(audit_policy()), encoding="utf-8")
    selector = egress.configuration(scratch / "egress.json")
    tracing = scratch / "tracing.json"
    tracing.write_text(json.dumps(tracing_configuration()), encoding="utf-8")
    admission = scratch / "admission.json"
    admission.write_text(json.dumps(critical_pods_need_a_quota()), encoding="utf-8")
    with ControlPlane.start(
        api_server_args=(
            f"--admission-control-config-file={admission}",
            f"--egress-selector-config-file={selector}",
            f"--audit-policy-file={audit}",
            f"--tracing-config-file={tracing}",
        )
    ) as running:
        yield running


def critical_pods_need_a_quota() -> Json:
    """As on GKE: a Pod of these classes is refused where no quota speaks of them."""
    classes = ["system-node-critical", "system-cluster-critical"]
    critical = {"scopeName": "PriorityClass", "operator": "In", "values": classes}
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "ResourceQuotaConfiguration",
        "limitedResources": [{"resource": "pods", "matchScopes": [critical]}],
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "ResourceQuota", "configuration": configuration}],
    }


def audit_policy() -> Json:
    """Everything that the webhook's replicas and the audit ask."""
    users = [ACCOUNT, f"system:serviceaccount:{NAMESPACE}:{AUDIT}"]
    rules = [{"level": "Metadata", "users": users}, {"level": "None"}]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": rules,
    }


def tracing_configuration() -> Json:
    """Every request is traced; nobody collects the traces."""
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "TracingConfiguration",
        "endpoint": "127.0.0.1:1",
        "samplingRatePerMillion": 1_000_000,
    }


@pytest.fixture(scope="module")
def admin(plane: ControlPlane) -> Iterator[Api]:
    api = Api(plane.kubeconfig())
    for number, name in enumerate(NODES):
        api.create(node(name, number)).must()
    yield api
    api.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The chart, installed."""

    helm: Helm
    plane: ControlPlane
    admin: Api
    kubelet: Kubelet
    tenant: Api

    @property
    def webhook(self) -> Json:
        stored = self.admin.call("GET", f"{WEBHOOKS}/{RELEASE}").must()
        (found,) = stored["webhooks"]
        return dict(found)

    def change(self, command: str, *words: str) -> None:
        self.helm.must(
            *(command, RELEASE, *words, "--namespace", NAMESPACE, "--wait", "--timeout", "120s")
        )

    def upgrade(self, values: Json) -> None:
        self.change("upgrade", str(CHART), *self.helm.values({**VALUES, **values}))

    def write(self, namespace: str, given: Json) -> Answer:
        placed = {**given, "metadata": {**given["metadata"], "namespace": namespace}}
        return self.tenant.create(placed, dry_run=True)


@contextmanager
def installed(
    major: str, plane: ControlPlane, admin: Api, egress: Egress, scratch: Path, **values: Any
) -> Iterator[Release]:
    """Install it and wait for helm to be content; uninstall it in the end."""
    given = {**VALUES, **values}
    helm = Helm(major, scratch, plane.kubeconfig())
    tenant = Api(writer(plane, admin, "tenant"))
    with Kubelet(plane, admin, scratch) as kubelet:
        egress.route = kubelet.route
        release = Release(helm=helm, plane=plane, admin=admin, kubelet=kubelet, tenant=tenant)
        try:
            release.change("install", str(CHART), "--create-namespace", *helm.values(given))
            yield release
        finally:
            helm.must("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
            eventually(lambda: not admin.items("Pod", NAMESPACE) or None, 60)
            tenant.close()


@pytest.fixture(scope="class")
def release(
    plane: ControlPlane, admin: Api, egress: Egress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    scratch = tmp_path_factory.mktemp("release")
    with installed("v4", plane, admin, egress, scratch) as made:
        yield made


def bad() -> Json:
    ref = {"kind": "Pod", "namespace": "kube-system", "name": "x"}
    return endpoints("bad", {"ip": "198.51.100.1", "targetRef": ref})


def good() -> Json:
    return endpoints("good", {"ip": "198.51.100.1"})


class TestInstalled:
    def test_it_judges_writes_of_every_namespace_and_kind(self, release: Release) -> None:
        for namespace in ("default", NAMESPACE, "kube-public"):
            assert "EG302" in release.write(namespace, bad()).rules
            assert release.write(namespace, good()).ok
        assert "EG302" in release.write("default", slice_of(targetRef=FOREIGN)).rules

    def test_the_webhook_is_as_the_chart_says(self, release: Release) -> None:
        assert release.webhook["failurePolicy"] == "Fail"
        assert release.webhook["clientConfig"]["caBundle"]
        assert release.webhook["clientConfig"]["service"]["name"] == RELEASE

    def test_helm_test_proves_that_it_works(self, release: Release) -> None:
        release.helm.must("test", RELEASE, "--namespace", NAMESPACE, "--timeout", "60s")
        log = release.kubelet.logs[f"{RELEASE}-test"]
        assert "refuses what is wrong and lets pass what is right" in log

    def test_the_control_plane_works_as_ever(self, release: Release) -> None:
        namespace = Namespace(release.admin, "served")
        namespace.create(service(selector={"app": "web"}))
        namespace.run(pod("web-1", labels={"app": "web"}))
        listed, found = namespace.published("web")
        assert listed["subsets"]
        assert found["endpoints"]

    def test_a_dead_webhook_stops_users_but_neither_the_cluster_nor_itself(
        self, release: Release
    ) -> None:
        namespace = Namespace(release.admin, "orphaned")
        namespace.create(service(selector={"app": "web"}))
        release.kubelet.asleep = True
        for container in release.kubelet.replicas:
            container.component.stop(kill=True)

        eventually(lambda: release.write("default", good()).status == 500 or None)
        namespace.run(pod("web-1", labels={"app": "web"}))
        namespace.published("web")

        release.kubelet.asleep = False
        eventually(lambda: release.write("default", good()).ok or None, 60)
        assert "EG302" in release.write("default", bad()).rules

    def test_nobody_else_writes_its_endpoints(self, release: Release) -> None:
        astray = slice_of(addresses=["198.51.100.9"])
        astray["metadata"]["labels"] = {SERVICE_NAME: RELEASE}
        assert not release.write(NAMESPACE, astray).ok

    def test_the_api_server_has_the_metrics_that_alerts_are_made_of(self, release: Release) -> None:
        assert not release.write("default", bad()).ok
        for metric in ("rejection_count", "admission_duration_seconds_bucket"):
            assert counted(release.plane, metric, release.webhook["name"]), metric

    def test_it_has_the_rights_that_it_needs_and_no_others(
        self, release: Release, summary: list[str]
    ) -> None:
        make_it_look_at_everything(release, "looked-at")
        events = requests_of(release.plane, ACCOUNT)
        refused = [e for e in events if e["responseStatus"]["code"] in {401, 403}]
        assert refused == []
        used = {used_right(event) for event in events}
        assert used == granted_rights(release.admin, RELEASE)
        summary.append(
            f"chart: {len(used)} rights granted, all of them used, in {len(events)} requests"
        )


def exposition(container: Container) -> str:
    """What Prometheus would read from it."""
    host, port = container.ports[-1]
    with urlopen(f"http://{host}:{port}/metrics") as response:
        return str(response.read().decode())


def exposed_by(container: Container, metric: str, **labels: str) -> float:
    """The sum of a metric over everything that has these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in exposition(container).splitlines()
        if line.startswith(f"{metric}{{") and all(label in line for label in wanted)
    )


def counted(plane: ControlPlane, metric: str, webhook: str) -> bool:
    """Whether the API server counts this for the webhook."""
    exposed = plane.kubectl("get", "--raw", "/metrics").stdout
    lines = re.findall(rf"^apiserver_admission_webhook_{metric}{{(.*)}}", exposed, re.MULTILINE)
    return any(f'name="{webhook}"' in line for line in lines)


def requests_of(plane: ControlPlane, user: str) -> list[Json]:
    return [event for event in plane.audit_events() if event["user"]["username"] == user]


def make_it_look_at_everything(release: Release, name: str) -> None:
    """Writes before whose denial a Service, a Pod and a Node have to be read."""
    namespace = Namespace(release.admin, name)
    namespace.create(service())
    made = namespace.run(pod("web-1", labels={"app": "web"}))
    address = pod_address(made)
    by_node = {**address, "ip": "198.51.100.1", "targetRef": {"kind": "Node", "name": "node-1"}}
    foreign = {**address, "targetRef": FOREIGN}
    for given in (by_node, foreign):
        assert not release.write(name, endpoints("web", given, {"ip": "169.254.1.1"})).ok
        assert not release.write(name, endpoints("web", given, foreign)).ok
    stored = release.admin.get("Node", "", NODES[0]).must()
    of_node = stored["status"]["addresses"][0]["address"]
    assert "EG502" in release.write(name, endpoints("web", {"ip": of_node})).rules


FOREIGN = {"kind": "Pod", "namespace": "kube-system", "name": "x"}


def slice_of(**entry: Any) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["198.51.100.1"], **entry}],
        "ports": [{"port": 80}],
    }


Right = tuple[str, str, str, str, str]
"""Verb, group, resource, and namespace and name if it is limited to one."""
_BY_NAME = {"secrets", "validatingwebhookconfigurations"}


def used_right(event: Json) -> Right:
    about = event["objectRef"]
    name = about.get("name", "") if about["resource"] in _BY_NAME else ""
    limited = about["resource"] in {"secrets", "endpointslices"}
    namespace = about.get("namespace", "") if limited else ""
    return event["verb"], about.get("apiGroup", ""), about["resource"], namespace, name


def granted_rights(admin: Api, account: str) -> set[Right]:
    """What is bound to the service account, beyond what every account may."""
    api = "/apis/rbac.authorization.k8s.io/v1"
    found: set[Right] = set()
    for kind in ("ClusterRole", "Role"):
        for binding in admin.call("GET", f"{api}/{kind.lower()}bindings").must()["items"]:
            subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
            if subject not in (binding.get("subjects") or []):
                continue
            namespace = binding["metadata"].get("namespace", "")
            scope = f"/namespaces/{namespace}" if kind == "Role" else ""
            where = f"{api}{scope}/{kind.lower()}s/{binding['roleRef']['name']}"
            found |= {
                (verb, group, resource, namespace, name)
                for rule in admin.call("GET", where).must()["rules"]
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
                for name in rule.get("resourceNames", [""])
            }
    return found


NEARLY_NONE = dict.fromkeys(RULES.keys() - {"EG508"}, "off")
REPORT_GROUPS = {definition["spec"]["group"] for definition in (*OPEN_REPORTS, *POLICY_REPORTS)}


@contextmanager
def served(release: Release, crds: list[Json]) -> Iterator[list[str]]:
    """One of the report APIs is there for a while; gives its two kinds."""
    admin, kubectl = release.admin, release.plane.kubectl
    for definition in crds:
        admin.create(definition).must()
    names = [definition["metadata"]["name"] for definition in crds]
    eventually(lambda: all(kubectl("get", name, check=False).returncode == 0 for name in names))
    yield [definition["spec"]["names"]["kind"] for definition in crds]
    for definition in crds:
        admin.delete("CustomResourceDefinition", "", definition["metadata"]["name"]).must()
    group = crds[0]["spec"]["group"]
    eventually(lambda: group not in str(admin.call("GET", "/apis").must()["groups"]))


def reports_of_findings(release: Release, name: str, rules: Json) -> None:
    """Have the audit's CronJob run once."""
    release.upgrade(
        {
            "policy": {"rules": rules},
            "audit": {
                "enabled": True,
                "policyReports": True,
                "extraArgs": ["--settle=0.5", "--fail-on=never"],
            },
        }
    )
    namespace = ("--namespace", NAMESPACE)
    kubectl = release.plane.kubectl
    kubectl("create", "job", f"--from=cronjob/{AUDIT}", name, *namespace)
    kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=120s", *namespace)
    kubectl("delete", "job", name, *namespace)


def used_for_reports(event: Json) -> Iterator[Right]:
    """The rights for report objects that a request has needed."""
    about = event.get("objectRef", {})
    if about.get("apiGroup") in REPORT_GROUPS:
        assert event["responseStatus"]["code"] in {200, 201}
        yield used_right(event)
        if event["responseStatus"]["code"] == 201:
            # An apply of what is not there yet is a patch, and needs the right to create.
            yield "create", *used_right(event)[1:]


@pytest.fixture(scope="class")
def watched(
    plane: ControlPlane, admin: Api, egress: Egress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release that tells of what it does: by Events, and by an audit of what is stored."""
    scratch = tmp_path_factory.mktemp("watched")
    with installed(
        "v4",
        plane,
        admin,
        egress,
        scratch,
        events={"enabled": True},
        audit={"enabled": True, "extraArgs": ["--settle=0.5"]},
    ) as made:
        yield made


class TestWatched:
    def test_a_denied_write_is_an_event_of_its_namespace(self, watched: Release) -> None:
        namespace = Namespace(watched.admin, "told")
        assert watched.webhook["sideEffects"] == "NoneOnDryRun"
        assert "EG302" in watched.write("told", {**bad(), "metadata": {"name": "dry"}}).rules
        assert "EG302" in watched.tenant.create(namespace.placed(bad())).rules

        def listed() -> str | None:
            shown = watched.plane.kubectl("get", "events", "--namespace", "told").stdout
            return shown if "EndpointsDenied" in shown else None

        shown = eventually(listed, why=lambda: [r.log for r in watched.kubelet.replicas])
        assert "endpoints/bad" in shown
        assert "EG302" in shown
        assert "dry" not in shown
        assert "198.51.100.1" not in shown
        assert "kube-system" not in shown

    def test_the_log_says_which_trace_a_denial_is_part_of(self, watched: Release) -> None:
        assert "EG302" in watched.write("default", bad()).rules
        lines = [
            json.loads(line)
            for replica in watched.kubelet.replicas
            for line in replica.log.splitlines()
            if '"message":"denied' in line
        ]
        assert lines
        for line in lines:
            assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
            assert re.fullmatch("[0-9a-f]{16}", line["span_id"])
            assert line["confirmed"] is True

    def test_the_audit_runs_with_the_rights_that_it_needs_and_no_others(
        self, watched: Release, summary: list[str]
    ) -> None:
        namespace = ("--namespace", NAMESPACE)
        job = ("create", "job", f"--from=cronjob/{AUDIT}", "audit-now")
        watched.plane.kubectl(*job, *namespace)
        done = ("wait", "--for=condition=Complete", "job/audit-now", "--timeout=120s")
        watched.plane.kubectl(*done, *namespace)
        (log,) = (text for pod, text in watched.kubelet.logs.items() if "audit-now" in pod)
        assert "EG604" in log
        assert "could not" not in log
        asked = requests_of(watched.plane, f"system:serviceaccount:{NAMESPACE}:{AUDIT}")
        assert {event["responseStatus"]["code"] for event in asked} == {200}
        used = {right[:3] for right in map(used_right, asked)}
        granted = {right[:3] for right in granted_rights(watched.admin, AUDIT)}
        assert used == granted
        summary.append(f"chart: the audit has {len(granted)} rights and uses all of them")

    def test_a_replica_exports_every_metric(self, watched: Release) -> None:
        exposed = exposition(watched.kubelet.replicas[0])
        types = set(re.findall(r"^# TYPE (endpoints_guard_\S+) (\S+)$", exposed, re.MULTILINE))
        assert types == {(m.name, m.type) for m in METRICS if m not in AUDIT_METRICS}

    def test_an_audit_that_goes_on_tells_and_counts_what_is_new(self, watched: Release) -> None:
        """Its rights are those of the CronJob's, and to watch; all are used."""
        watched.upgrade(
            {
                "events": {"enabled": True},
                "audit": {"enabled": True, "watch": True, "extraArgs": ["--settle=0.5"]},
            }
        )
        (audit,) = (c for c in tuple(watched.kubelet.containers.values()) if not c.serves)
        name = "endpoints_guard_audit_findings"
        before = exposed_by(audit, name, rule="EG101")
        ownerless = endpoints("nobody-s", {"ip": "198.51.100.7"})
        Namespace(watched.admin, "news").create(ownerless)
        eventually(
            lambda: exposed_by(audit, name, rule="EG101") == before + 1, 60, lambda: audit.log
        )
        assert "new      warn  EG101 Endpoints news/nobody-s" in audit.log
        asked = requests_of(watched.plane, f"system:serviceaccount:{NAMESPACE}:{AUDIT}")
        used = {right[:3] for right in map(used_right, asked)}
        assert used == {right[:3] for right in granted_rights(watched.admin, AUDIT)}

    def test_the_webhook_uses_the_right_to_make_events(self, watched: Release) -> None:
        make_it_look_at_everything(watched, "looked-at-again")
        used = set(map(used_right, requests_of(watched.plane, ACCOUNT)))
        assert used == granted_rights(watched.admin, RELEASE)

    def test_the_audit_keeps_report_objects_with_the_rights_that_it_needs_and_no_others(
        self, watched: Release, summary: list[str]
    ) -> None:
        """Whichever of the two APIs the cluster has: written when there is something to report, and
        removed when there is nothing.
        """
        Namespace(watched.admin, "reported").create(endpoints("nobody-s", {"ip": "198.51.100.7"}))
        used: set[Right] = set()
        for crds in (OPEN_REPORTS, POLICY_REPORTS):
            with served(watched, crds) as (kind, cluster_kind):
                reports_of_findings(watched, "report", rules={})
                assert watched.admin.items(kind, "reported")
                assert watched.admin.items(cluster_kind)
                reports_of_findings(watched, "silence", rules=NEARLY_NONE)
                assert watched.admin.items(kind) == watched.admin.items(cluster_kind) == []
                asked = requests_of(watched.plane, f"system:serviceaccount:{NAMESPACE}:{AUDIT}")
                used |= {right for event in asked for right in used_for_reports(event)}
                granted = granted_rights(watched.admin, AUDIT)
        assert used == {right for right in granted if right[1] in REPORT_GROUPS}
        summary.append(f"chart: of {len(used)} rights for report objects all are used")


@pytest.mark.parametrize("major", MAJORS)
def test_no_write_fails_from_installing_to_uninstalling(
    major: str,
    plane: ControlPlane,
    admin: Api,
    egress: Egress,
    tmp_path: Path,
    summary: list[str],
) -> None:
    before = everything(plane)
    namespace = Namespace(admin, f"tenant-{major}")
    namespace.create(good())
    tenant = Api(writer(plane, admin, "tenant"))
    writes = Writer(tenant, namespace.name, "good")
    with writes, installed(major, plane, admin, egress, tmp_path) as release:
        assert release.webhook["failurePolicy"] == "Fail"
        assert refuses(namespace)
        bundle = release.webhook["clientConfig"]["caBundle"]

        changed: Json = {
            "policy": {"rules": {"EG302": "warn"}},
            "podLabels": {"new": "yes"},
        }
        release.upgrade(changed)
        assert release.webhook["failurePolicy"] == "Fail"
        assert release.webhook["clientConfig"]["caBundle"] == bundle
        assert not refuses(namespace), "the new policy is in force"

        release.upgrade({**changed, "webhook": {"failurePolicy": "Ignore"}})
        assert release.webhook["failurePolicy"] == "Ignore"
        assert release.webhook["clientConfig"]["caBundle"] == bundle

        release.change("rollback", "1")
        assert release.webhook["failurePolicy"] == "Fail"
        assert release.webhook["clientConfig"]["caBundle"] == bundle
        assert refuses(namespace)
    assert writes.failures == []
    assert writes.writes > 100
    summary.append(
        f"chart: {writes.writes} writes while helm {major} installed, upgraded, rolled back and "
        "uninstalled it, 0 failed"
    )
    tenant.close()

    def left() -> set[str]:
        """Less what the test made, and what every namespace has."""
        found = everything(plane) - before
        return {o for o in found if not re.search(rf"/{namespace.name}(/|$)", o)} - {
            f"Namespace//{NAMESPACE}",
            f"ConfigMap/{NAMESPACE}/kube-root-ca.crt",
            f"ServiceAccount/{NAMESPACE}/default",
            "ClusterRole//tenants",
            "ClusterRoleBinding//tenants",
        }

    eventually(lambda: not left() or None, 60, lambda: sorted(left()))


def everything(plane: ControlPlane) -> set[str]:
    """Every object in the cluster but for events and leases: kind, namespace and name."""
    kinds = plane.kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()
    kept = ",".join(k for k in kinds if not k.startswith(("events", "leases", "componentst")))
    named = "{.kind}/{.metadata.namespace}/{.metadata.name}"
    form = f"jsonpath={{range .items[*]}}{named}{{'\\n'}}{{end}}"
    return set(plane.kubectl("get", kept, "-A", "-o", form).stdout.split())


@pytest.fixture(scope="module")
def kinds_of_others(plane: ControlPlane) -> None:
    """Custom resource definitions of the operators for which the chart has objects."""
    plane.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": CRDS})
    )
    names = [f"crd/{crd['metadata']['name']}" for crd in CRDS]
    plane.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
    plane.kubectl("create", "namespace", "rendered")
    strict = (f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn"))
    plane.kubectl("label", "namespace", "rendered", *strict)
    # A Pod is only accepted if its service account is there, even as a dry run.
    plane.kubectl("create", "serviceaccount", f"{RELEASE}-test", "--namespace", "rendered")


@pytest.mark.usefixtures("kinds_of_others")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_every_object_and_knows_every_field(
    variant: str, plane: ControlPlane, tmp_path: Path
) -> None:
    rendering = Helm("v4", tmp_path).rendered(VARIANTS[variant], namespace="rendered")
    given = {"kind": "List", "apiVersion": "v1", "items": list(rendering)}
    done = plane.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=json.dumps(given),
    )
    assert len(done.stdout.splitlines()) == len(rendering.objects)
    assert "unknown" not in done.stderr
    # As strict as Pods can be, but for the one that asks for the network of its node.
    asks = VARIANTS[variant].get("hostNetwork", False)
    assert ("would violate PodSecurity" in done.stderr) == asks, done.stderr


@pytest.fixture(scope="module")
def fallback(
    plane: ControlPlane, admin: Api, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Namespace]:
    """The fallback policies, alone: no webhook is registered."""
    helm = Helm("v4", tmp_path_factory.mktemp("fallback"))
    rendering = helm.rendered({"fallbackPolicy": {"enabled": True}})
    made = [o for o in rendering if o["kind"].startswith("ValidatingAdmissionPolicy")]
    assert len(made) == 4
    given = json.dumps({"kind": "List", "apiVersion": "v1", "items": made})
    plane.kubectl("create", "namespace", NAMESPACE, check=False)
    plane.kubectl("apply", "-f", "-", stdin=given)
    probe = Namespace(admin, "fallback")
    eventually(lambda: (not probe.api.create(probe.placed(bad()), dry_run=True).ok) or None)
    eventually(
        lambda: (
            (not probe.api.create(probe.placed(slice_of(targetRef=FOREIGN)), dry_run=True).ok)
            or None
        )
    )
    yield probe
    plane.kubectl("delete", "-f", "-", stdin=given)


def test_the_fallback_expressions_have_the_right_types(
    fallback: Namespace, plane: ControlPlane
) -> None:
    def checked() -> list[Json] | None:
        listed = json.loads(
            plane.kubectl("get", "validatingadmissionpolicies", "-o", "json").stdout
        )
        statuses = [item.get("status", {}) for item in listed["items"]]
        return statuses if all("typeChecking" in status for status in statuses) else None

    assert [status["typeChecking"] for status in eventually(checked)] == [{}, {}]


ADDRESSES = {
    "198.51.100.1": True,
    "10.0.0.1": True,
    "192.168.1.1": True,
    "2001:db8::1": True,
    "fd00::1": True,
    "100.100.100.200": False,
    "168.63.129.16": False,
    "192.0.0.192": False,
    "169.254.169.254": False,
    "127.0.0.1": False,
    "224.0.0.1": False,
    "239.1.2.3": False,
    "240.0.0.1": False,
    "255.255.255.255": False,
    "0.0.0.0": False,
    "0.1.2.3": False,
    "::1": False,
    "::": False,
    "fe80::1": False,
    "fec0::1": False,
    "ff0e::1": False,
    "fd00:ec2::254": False,
    "fd20:ce::254": False,
    "64:ff9b::a9fe:a9fe": False,
    "64:ff9b::7f00:1": False,
    "64:ff9b::c633:6401": True,
    "2002:a9fe:a9fe::1": False,
    "2002:7f00:1::1": False,
    "2002:c633:6401::1": True,
    "::ffff:0:a9fe:a9fe": False,
    "::7f00:1": False,
    "::ffff:198.51.100.1": False,
    "198.051.100.001": False,
}


@pytest.mark.parametrize(("address", "fine"), ADDRESSES.items())
def test_the_fallback_lets_only_addresses_of_hosts_pass(
    fallback: Namespace, address: str, fine: bool
) -> None:
    by_slice = slice_of(addresses=[address])
    by_slice["addressType"] = "IPv6" if ":" in address else "IPv4"
    by_endpoints = endpoints("a", {"ip": address})
    for given in (by_slice, by_endpoints):
        answer = fallback.api.create(fallback.placed(given), dry_run=True)
        assert answer.ok == fine, answer.message
        assert fine or "endpoints-guard:" in answer.message or answer.status == 422


def test_the_fallback_refuses_what_api_validation_does_not(fallback: Namespace) -> None:
    """A look at which of the addresses above are its own doing: 403, and not 422."""
    own = set()
    for address, fine in ADDRESSES.items():
        answer = fallback.api.create(fallback.placed(endpoints("a", {"ip": address})), dry_run=True)
        if not fine and "endpoints-guard:" in answer.message:
            own.add(address)
    assert {"100.100.100.200", "168.63.129.16", "255.255.255.255", "240.0.0.1"} <= own


def test_the_fallback_bears_as_many_addresses_as_controllers_put_into_one_object(
    fallback: Namespace,
) -> None:
    """An expression that costs too much is an error, and with it a refusal."""
    ips = [f"198.18.{number // 250}.{number % 250}" for number in range(1000)]
    many = endpoints("a", *({"ip": ip} for ip in ips))
    by_slice = {**slice_of(), "endpoints": [{"addresses": [ip]} for ip in ips]}
    for given in (many, by_slice):
        fallback.api.create(fallback.placed(given), dry_run=True).must()


def test_the_fallback_refuses_names_foreign_references_and_the_webhooks_own_endpoints(
    fallback: Namespace,
) -> None:
    names = {**slice_of(addresses=["metadata.example"]), "addressType": "FQDN"}
    own_ref = {"kind": "Pod", "namespace": fallback.name, "name": "x"}
    bare_ref = {"kind": "Node", "name": "x"}
    own_service = slice_of()
    own_service["metadata"]["labels"] = {SERVICE_NAME: RELEASE}
    for given, namespace, said in (
        (names, fallback.name, "DNS names"),
        (slice_of(targetRef=FOREIGN), fallback.name, "another namespace"),
        (bad(), fallback.name, "another namespace"),
        (endpoints(RELEASE, {"ip": "198.51.100.1"}), NAMESPACE, "the webhook itself"),
        (own_service, NAMESPACE, "the webhook itself"),
        (slice_of(targetRef=own_ref), fallback.name, ""),
        (endpoints("a", {"ip": "198.51.100.1", "targetRef": own_ref}), fallback.name, ""),
        (endpoints("a", {"ip": "198.51.100.1", "targetRef": bare_ref}), fallback.name, ""),
        (endpoints("a"), fallback.name, ""),
        (own_service, fallback.name, ""),
    ):
        placed = {**given, "metadata": {**given["metadata"], "namespace": namespace}}
        answer = fallback.api.create(placed, dry_run=True)
        assert (said in answer.message) if said else answer.ok, (said, answer.message)
        assert answer.ok == (not said)


def test_the_fallback_leaves_the_control_plane_alone(fallback: Namespace) -> None:
    fallback.create(service(selector={"app": "web"}))
    fallback.run(pod("web-1", labels={"app": "web"}))
    fallback.published("web")


def test_the_fallback_judges_new_entries_only(
    fallback: Namespace, plane: ControlPlane, admin: Api
) -> None:
    trusted = "system:serviceaccount:kube-system:endpoint-controller"
    controller = Api(plane.kubeconfig_for(trusted, ("system:masters",)))
    try:
        for given in (
            endpoints("old", {"ip": "100.100.100.200", "targetRef": FOREIGN}),
            slice_of(addresses=["100.100.100.200"], targetRef=FOREIGN),
        ):
            stored = controller.create(fallback.placed(given)).must()
            stored["metadata"]["annotations"] = {"a": "b"}
            assert admin.replace(stored).ok
            latest = fallback.get(stored["kind"], stored["metadata"]["name"])
            grow(latest, "198.51.100.7")
            assert admin.replace(latest, dry_run=True).ok
            grow(latest, "168.63.129.16")
            assert not admin.replace(latest, dry_run=True).ok
    finally:
        controller.close()


def grow(stored: Json, address: str) -> None:
    if stored["kind"] == "Endpoints":
        stored["subsets"][0]["addresses"].append({"ip": address})
    else:
        stored["endpoints"].append({"addresses": [address]})


def test_the_fallback_can_afford_large_objects(fallback: Namespace) -> None:
    many = [f"10.{n >> 8}.{n & 255}.1" for n in range(5000)]
    given = endpoints("large", *({"ip": ip, "nodeName": "node-1"} for ip in many))
    assert fallback.api.create(fallback.placed(given), dry_run=True).ok
    full = {**slice_of(), "metadata": {"name": "full"}}
    full["endpoints"] = [{"addresses": [ip]} for ip in many[:1000]]
    assert fallback.api.create(fallback.placed(full), dry_run=True).ok


def test_helm_says_why_it_cannot_be_activated(
    plane: ControlPlane, admin: Api, tmp_path: Path, egress: Egress
) -> None:
    """Nobody answers: helm fails, the webhook stays at Ignore, and writes pass."""
    helm = Helm("v4", tmp_path, plane.kubeconfig())
    values = {**VALUES, "activation": {"timeoutSeconds": 2}}
    namespace = Namespace(admin, "unserved")
    tenant = Api(writer(plane, admin, "tenant"))
    with Kubelet(plane, admin, tmp_path) as kubelet:
        egress.route = lambda _: None
        done: subprocess.Popen[str] = helm.start(
            *("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"),
            *(*helm.values(values), "--timeout", "60s"),
        )
        try:
            _, errors = done.communicate(timeout=120)
            assert done.returncode != 0
            assert "post-install" in errors
            assert namespace.api.create(namespace.placed(good()), dry_run=True).ok
            stored = admin.call("GET", f"{WEBHOOKS}/{RELEASE}").must()
            (webhook,) = stored["webhooks"]
            assert webhook["failurePolicy"] == "Ignore"
            assert counted(plane, "fail_open_count", webhook["name"])
            said = "\n".join(kubelet.logs.values())
            assert "the API server does not ask the webhook" in said
        finally:
            done.kill()
            helm.must("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")
            eventually(lambda: not admin.items("Pod", NAMESPACE) or None, 60)
            tenant.close()
