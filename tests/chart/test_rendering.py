"""What the chart renders, with helm 4 and helm 3. What it does is in tests/e2e/test_chart.py."""

import json
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.chart.documentation import README, documented_values, with_definitions, with_table
from tests.chart.helm import CHART, MAJORS, NAMESPACE, RELEASE, Helm, Json, Rendering
from tests.chart.variants import VARIANTS
from webhook import __version__
from webhook.cli.audit import command as audit
from webhook.cli.serve import command as serve
from webhook.cluster.permissions import (
    AUDIT,
    AUDIT_WATCH,
    EVENTS,
    INFORMERS,
    REPORTS,
    RESTRICTED_RIGHT,
)
from webhook.core.addresses import parse
from webhook.core.policy import TRUSTED_WRITERS, parse_policy
from webhook.core.rule import Action
from webhook.core.rules import RULES
from webhook.gateway.settings import GatewaySettings, Limits
from webhook.telemetry.catalogue import METRICS

CHART_YAML = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm("v4", tmp_path)


@cache
def rendered(variant: str) -> Rendering:
    """A variant, rendered once; nobody changes it."""
    with tempfile.TemporaryDirectory() as home:
        return Helm("v4", Path(home)).rendered(VARIANTS[variant])


@pytest.fixture
def default() -> Rendering:
    return rendered("default")


@pytest.fixture
def everything() -> Rendering:
    return rendered("everything-values")


@pytest.mark.parametrize("major", MAJORS)
def test_helm_lint_has_no_complaint(major: str, tmp_path: Path) -> None:
    helm = Helm(major, tmp_path)
    for values in ({}, VARIANTS["everything-values"]):
        said = helm.must("lint", "--strict", str(CHART), *helm.values(values))
        assert "WARNING" not in said
        assert "ERROR" not in said


@pytest.mark.parametrize("variant", ["default", "everything-values", "given Secret"])
def test_both_major_versions_render_the_same(variant: str, tmp_path: Path) -> None:
    four, three = rendered(variant), Helm("v3", tmp_path).rendered(VARIANTS[variant])
    assert {json.dumps(o, sort_keys=True) for o in four} == {
        json.dumps(o, sort_keys=True) for o in three
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_complete(variant: str) -> None:
    rendering = rendered(variant)
    assert len(rendering.names) == len(rendering.objects), "no name twice"
    for each in rendering:
        assert each["apiVersion"]
        if "-more" not in each["metadata"]["name"]:
            labels = each["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == RELEASE
            assert labels["helm.sh/chart"] == f"endpoints-guard-{CHART_YAML['version']}"


class TestVersions:
    def test_the_chart_installs_the_version_that_it_is_released_with(
        self, default: Rendering
    ) -> None:
        assert CHART_YAML["appVersion"] == CHART_YAML["version"] == __version__
        assert default.container["image"].endswith(f":{__version__}")

    def test_artifact_hub_knows_the_same_image(self, default: Rendering) -> None:
        images = yaml.safe_load(CHART_YAML["annotations"]["artifacthub.io/images"])
        assert [image["image"] for image in images] == [default.container["image"]]

    def test_artifact_hub_can_read_what_is_meant_for_it(self) -> None:
        about = {
            key.removeprefix("artifacthub.io/"): yaml.safe_load(value)
            for key, value in CHART_YAML["annotations"].items()
        }
        kinds = {"added", "changed", "deprecated", "removed", "fixed", "security"}
        assert {change["kind"] for change in about["changes"]} <= kinds
        assert all(each.keys() == {"kind", "description"} for each in about["changes"])
        assert all(each.keys() == {"name", "url"} for each in about["links"])
        assert all(each.keys() == {"name", "image"} for each in about["images"])
        assert (about["category"], about["license"]) == ("security", "Apache-2.0")
        assert about["prerelease"] is CHART_YAML["version"].startswith("0.")
        for link in about["links"]:
            path = link["url"].partition("/blob/main/")[2]
            assert (CHART.parents[1] / path).exists()

    def test_a_digest_wins_over_the_tag(self) -> None:
        image = rendered("by digest").container["image"]
        assert image == f"{VALUES['image']['repository']}@sha256:{'0' * 64}"


class TestWebhook:
    def test_it_is_asked_about_what_the_server_judges(self, default: Rendering) -> None:
        asked = {
            (group, version, resource, operation)
            for rule in default.webhook["rules"]
            for group in rule["apiGroups"]
            for version in rule["apiVersions"]
            for resource in rule["resources"]
            for operation in rule["operations"]
        }
        assert asked == {
            (group, "v1", resource, operation)
            for group, resource in (("", "endpoints"), ("discovery.k8s.io", "endpointslices"))
            for operation in ("CREATE", "UPDATE")
        }

    def test_a_write_waits_briefly_and_a_dead_webhook_lets_nothing_unjudged_pass(
        self, default: Rendering
    ) -> None:
        webhook = default.webhook
        assert webhook["failurePolicy"] == "Fail"
        assert webhook["sideEffects"] == "None"
        assert webhook["matchPolicy"] == "Equivalent"
        assert webhook["timeoutSeconds"] <= 5
        assert webhook["admissionReviewVersions"] == ["v1"]

    def test_labels_that_a_writer_chooses_exempt_nobody(self, default: Rendering) -> None:
        assert "objectSelector" not in default.webhook
        assert "namespaceSelector" not in default.webhook

    def test_the_server_and_the_api_server_trust_the_same_writers(self, default: Rendering) -> None:
        (condition,) = default.webhook["matchConditions"]
        shape = r"!\(request\.userInfo\.username in (\[.*\])\)"
        found = re.fullmatch(shape, condition["expression"])
        assert found is not None
        assert set(json.loads(found[1])) == TRUSTED_WRITERS
        assert policy_of(default).trusted_writers == TRUSTED_WRITERS

    def test_another_list_of_writers_reaches_both(self, helm: Helm) -> None:
        names = ["system:apiserver", 'odd"name']
        rendering = helm.rendered({"trustedWriters": names})
        assert policy_of(rendering).trusted_writers == set(names)
        assert json.dumps(names) in rendering.webhook["matchConditions"][0]["expression"]

    def test_more_conditions_come_after_the_charts_own(self, everything: Rendering) -> None:
        names = [each["name"] for each in everything.webhook["matchConditions"]]
        assert names == ["not-the-control-plane", "not-the-nodes"]

    def test_it_leads_to_the_service_and_port_of_the_release(self, default: Rendering) -> None:
        called = default.webhook["clientConfig"]["service"]
        assert (called["namespace"], called["name"]) == (NAMESPACE, RELEASE)
        (port,) = (
            p for p in default.one("Service")["spec"]["ports"] if p["port"] == called["port"]
        )
        ports = {p["name"]: p["containerPort"] for p in default.container["ports"]}
        assert f"--listen=0.0.0.0:{ports[port['targetPort']]}" in default.container["args"]


class TestPod:
    def test_it_can_do_no_harm(self, everything: Rendering, default: Rendering) -> None:
        for rendering in (everything, default):
            pods = [o["spec"]["template"]["spec"] for o in rendering.kind("Deployment")]
            pods += [o["spec"]["template"]["spec"] for o in rendering.kind("Job")]
            pods += [o["spec"] for o in rendering.kind("Pod")]
            assert len(pods) == 3
            pods += [audit_pod(rendering)] if rendering is everything else []
            for pod in pods:
                assert pod["securityContext"]["runAsNonRoot"] is True
                assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
                assert pod["enableServiceLinks"] is False
                container, *_ = pod["containers"]
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "privileged": False,
                    "readOnlyRootFilesystem": True,
                }
                assert {"memory"} <= container["resources"]["limits"].keys()
                assert {"cpu", "memory"} <= container["resources"]["requests"].keys()

    def test_the_services_and_the_disruption_budgets_pods_are_the_webhooks_only(
        self, default: Rendering
    ) -> None:
        labels = default.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        others = [o["spec"]["template"]["metadata"]["labels"] for o in default.kind("Job")]
        others += [o["metadata"]["labels"] for o in default.kind("Pod")]
        for selector in (
            default.one("Deployment")["spec"]["selector"]["matchLabels"],
            default.one("Service")["spec"]["selector"],
            default.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        ):
            assert selector.items() <= labels.items()
            assert not any(selector.items() <= other.items() for other in others)

    def test_replicas_keep_apart_and_are_replaced_one_by_one(self, default: Rendering) -> None:
        spec = default.one("Deployment")["spec"]
        assert spec["replicas"] >= 2
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert default.pod["affinity"]["podAntiAffinity"]
        assert default.pod["topologySpreadConstraints"]
        assert default.pod["priorityClassName"] == "system-cluster-critical"

    def test_a_class_of_kubernetes_own_is_allowed_where_a_quota_is_asked_for(
        self, default: Rendering, everything: Rendering
    ) -> None:
        (scope,) = default.one("ResourceQuota")["spec"]["scopeSelector"]["matchExpressions"]
        assert (scope["scopeName"], scope["operator"]) == ("PriorityClass", "In")
        assert scope["values"] == [default.pod["priorityClassName"]]
        assert everything.kind("ResourceQuota") == []

    def test_what_the_chart_knows_nothing_of_may_be_added(self, everything: Rendering) -> None:
        assert everything.pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}
        assert everything.one("Deployment")["metadata"]["annotations"] == {"a": "b"}

    @pytest.mark.parametrize(
        ("extra", "policy"),
        [({}, "ClusterFirstWithHostNet"), ({"dnsPolicy": "Default"}, "Default")],
    )
    def test_in_the_network_of_the_node_names_are_still_the_cluster_s(
        self, extra: Json, policy: str, helm: Helm
    ) -> None:
        rendering = helm.rendered({"hostNetwork": True, "extraPodSpec": extra})
        assert (rendering.pod["hostNetwork"], rendering.pod["dnsPolicy"]) == (True, policy)

    @pytest.mark.parametrize("seconds", [95, 0.5, 0, 300])
    def test_there_is_time_to_drain_and_to_finish(self, helm: Helm, seconds: float) -> None:
        rendering = helm.rendered({"drainSeconds": seconds})
        assert f"--drain-seconds={seconds}" in rendering.container["args"]
        needed = seconds + GatewaySettings().graceful_seconds + 2
        assert rendering.pod["terminationGracePeriodSeconds"] > needed

    def test_a_stopping_replica_outlives_the_idle_connections_of_api_servers(self) -> None:
        """Go's client closes them after 90 s; so does the server only later."""
        assert 90 < VALUES["drainSeconds"] < Limits().keep_alive_seconds

    def test_probes_ask_the_plain_port(self, default: Rendering) -> None:
        container = default.container
        asked = {
            name: container[f"{name}Probe"]["httpGet"]
            for name in ("startup", "liveness", "readiness")
        }
        assert asked == {
            "startup": {"path": "/livez", "port": "health"},
            "liveness": {"path": "/livez", "port": "health"},
            "readiness": {"path": "/readyz", "port": "health"},
        }

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_serve_knows_every_flag(self, variant: str) -> None:
        args = rendered(variant).container["args"]
        assert args[0] == "serve"
        known = {flag for parameter in serve.params for flag in parameter.opts}
        assert {word.partition("=")[0] for word in args[1:]} <= known
        # And what is given to them: nothing is begun yet, only read.
        serve.make_context("serve", args[1:])

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_every_file_that_an_argument_names_is_mounted(self, variant: str) -> None:
        rendering = rendered(variant)
        mounts = {mount["mountPath"] for mount in rendering.container["volumeMounts"]}
        named = {word.partition("=")[2] for word in rendering.container["args"] if "=/" in word}
        assert {str(Path(file).parent) for file in named} <= mounts
        volumes = {volume["name"] for volume in rendering.pod["volumes"]}
        assert {mount["name"] for mount in rendering.container["volumeMounts"]} == volumes


class TestRights:
    def test_reading_is_what_the_informers_need(self, default: Rendering) -> None:
        """Each informer lists and watches; only objects of core are also read one by one."""
        roles = [default.one("ClusterRole"), default.one("Role", f"{RELEASE}-api-servers")]
        granted = {
            (role["metadata"].get("namespace", ""), group, resource, verb)
            for role in roles
            for rule in role["rules"]
            if "resourceNames" not in rule
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        needed = {
            (each.namespace, each.api_group, resource, verb)
            for each in INFORMERS
            for resource in each.resources
            for verb in each.verbs
        }
        assert granted == {n for n in needed if n[2:] != ("endpointslices", "get")}

    def test_what_is_written_is_its_own_by_name(self, default: Rendering) -> None:
        for role in (*default.kind("ClusterRole"), *default.kind("Role")):
            for rule in role["rules"]:
                if set(rule["verbs"]) & {"patch", "update", "delete", "*"}:
                    assert set(rule["resourceNames"]) <= {RELEASE, f"{RELEASE}-certs"}

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({}, False),
            ({"policy": {"restrictedRight": True}}, True),
            ({"rbac": {"subjectAccessReviews": True}}, True),
        ],
    )
    def test_access_reviews_are_for_the_restricted_right_only(
        self, helm: Helm, values: Json, expected: bool
    ) -> None:
        rules = helm.rendered(values).one("ClusterRole")["rules"]
        groups = [rule for rule in rules if rule["apiGroups"] == [RESTRICTED_RIGHT.api_group]]
        assert [rule["verbs"] for rule in groups] == ([["create"]] if expected else [])

    def test_events_are_created_and_nothing_else(self, helm: Helm, default: Rendering) -> None:
        def granted(rendering: Rendering) -> list[tuple[list[str], list[str]]]:
            rules = rendering.one("ClusterRole")["rules"]
            group = [EVENTS.api_group]
            return [(r["resources"], r["verbs"]) for r in rules if r["apiGroups"] == group]

        with_events = helm.rendered({"events": {"enabled": True}})
        assert granted(with_events) == [(list(EVENTS.resources), list(EVENTS.verbs))]
        assert "--events" in with_events.container["args"]
        assert with_events.webhook["sideEffects"] == "NoneOnDryRun"
        assert granted(default) == []
        assert "--events" not in default.container["args"]

    @pytest.mark.parametrize("reports", [False, True])
    def test_the_audit_lists_and_writes_nothing_but_reports(
        self, helm: Helm, reports: bool
    ) -> None:
        rendering = helm.rendered({"audit": {"enabled": True, "policyReports": reports}})
        granted = {
            (group, resource, verb)
            for rule in rendering.one("ClusterRole", AUDIT_NAME)["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert granted == {
            (each.api_group, resource, verb)
            for each in (*AUDIT, *(REPORTS if reports else ()))
            for resource in each.resources
            for verb in each.verbs
        }

    def test_given_certificates_need_no_right_to_write(self, helm: Helm) -> None:
        rendering = helm.rendered({**VARIANTS["given Secret"], "activation": {"enabled": False}})
        verbs = {
            verb
            for role in (*rendering.kind("ClusterRole"), *rendering.kind("Role"))
            if not role["metadata"]["name"].endswith("-test")
            for rule in role["rules"]
            for verb in rule["verbs"]
        }
        assert verbs == {"get", "list", "watch"}
        assert ("Secret", f"{RELEASE}-certs") not in rendering.names


class TestPolicy:
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_the_server_understands_it(self, variant: str) -> None:
        policy_of(rendered(variant))

    def test_what_the_values_say_holds(self, everything: Rendering) -> None:
        policy = policy_of(everything)
        assert policy.file.external.allowed_cidrs == ("198.51.100.0/24",)
        assert policy.file.rules == {"EG203": "off", "EG502": "warn"}
        assert [e.rules for e in policy.exemptions] == [("EG502",)]

    def test_one_that_is_there_already_is_mounted(self, helm: Helm) -> None:
        rendering = helm.rendered({"existingPolicyConfigMap": "ours"})
        assert {"name": "policy", "configMap": {"name": "ours"}} in rendering.pod["volumes"]
        assert ("ConfigMap", f"{RELEASE}-policy") not in rendering.names

    def test_the_schema_of_the_values_has_the_schema_of_policies_in_it(self) -> None:
        text = (CHART / "values.schema.json").read_text(encoding="utf-8")
        assert text == with_definitions(text), "run: python -m tests.chart.documentation"


class TestCertificates:
    def test_replicas_fill_a_secret_that_the_chart_made(self, default: Rendering) -> None:
        assert "data" not in default.one("Secret", f"{RELEASE}-certs")
        assert f"--cert-secret={NAMESPACE}/{RELEASE}-certs" in default.container["args"]
        assert f"--webhook-configuration={RELEASE}" in default.container["args"]
        assert "caBundle" not in default.webhook["clientConfig"]

    def test_cert_manager_signs_for_the_services_name_and_injects_its_ca(self, helm: Helm) -> None:
        rendering = helm.rendered({"certificates": {"mode": "certManager"}})
        certificate = rendering.one("Certificate")["spec"]
        assert f"{RELEASE}.{NAMESPACE}.svc" in certificate["dnsNames"]
        webhook = rendering.one("ValidatingWebhookConfiguration")
        source = webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
        assert source == f"{NAMESPACE}/{RELEASE}"
        issuer = rendering.one("Issuer", certificate["issuerRef"]["name"])
        ca = rendering.one("Certificate", f"{RELEASE}-ca")["spec"]
        assert issuer["spec"]["ca"]["secretName"] == ca["secretName"]
        assert ca["isCA"]

    def test_an_issuer_of_the_company_makes_no_ca(self) -> None:
        rendering = rendered("cert-manager-values")
        assert rendering.kind("Issuer") == []
        assert rendering.one("Certificate")["spec"]["issuerRef"]["name"] == "company"

    def test_a_ca_may_be_given_as_pem_or_encoded(self, helm: Helm) -> None:
        given = VARIANTS["given Secret"]["certificates"]
        plain = helm.rendered({"certificates": given})
        encoded = plain.webhook["clientConfig"]["caBundle"]
        again = helm.rendered({"certificates": {**given, "caBundle": encoded}})
        assert again.webhook["clientConfig"]["caBundle"] == encoded


AUDIT_NAME = f"{RELEASE}-audit"


def audit_pod(rendering: Rendering) -> Json:
    job = rendering.one("CronJob", AUDIT_NAME)["spec"]["jobTemplate"]["spec"]
    return dict(job["template"]["spec"])


class TestAudit:
    def test_it_is_off_by_default(self, default: Rendering) -> None:
        assert default.kind("CronJob") == []
        assert {o["metadata"]["name"] for o in default.kind("ClusterRole")} == {
            RELEASE,
            f"{RELEASE}-activation",
        }

    @pytest.mark.parametrize("variant", ["audit-values", "everything-values"])
    def test_its_arguments_are_flags_of_the_program(self, variant: str) -> None:
        (container,) = audit_pod(rendered(variant))["containers"]
        command, *flags = container["args"]
        assert command == "audit"
        audit.make_context("audit", list(flags))

    def test_one_that_goes_on_is_a_deployment_that_prometheus_finds(self) -> None:
        rendering = rendered("audit-watch-values")
        assert rendering.kind("CronJob") == []
        deployment = rendering.one("Deployment", AUDIT_NAME)["spec"]
        labels = deployment["template"]["metadata"]["labels"]
        (container,) = deployment["template"]["spec"]["containers"]
        command, *flags = container["args"]
        assert audit.make_context(command, list(flags)).params["goes_on"]
        assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
        (port,) = container["ports"]
        assert f"--health-listen=0.0.0.0:{port['containerPort']}" in flags
        service = rendering.one("Service", AUDIT_NAME)
        assert service["spec"]["selector"].items() <= labels.items()
        (monitor,) = rendering.kind("ServiceMonitor")
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] == service["spec"]["ports"][0]["name"]
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= service["metadata"]["labels"].items()
        for selector in (
            rendering.one("Deployment")["spec"]["selector"]["matchLabels"],
            rendering.one("Service")["spec"]["selector"],
        ):
            assert not selector.items() <= labels.items()

    def test_one_that_goes_on_watches_what_it_lists(self) -> None:
        granted = {
            (group, resource, verb)
            for rule in rendered("audit-watch-values").one("ClusterRole", AUDIT_NAME)["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert granted == {
            (each.api_group, resource, verb)
            for each in AUDIT_WATCH
            for resource in each.resources
            for verb in each.verbs
        }

    def test_it_judges_by_the_policy_of_the_webhook(self) -> None:
        rendering = rendered("audit-values")
        of_audit, of_webhook = (
            next(v["configMap"] for v in pod["volumes"] if v["name"] == "policy")
            for pod in (audit_pod(rendering), rendering.pod)
        )
        assert of_audit == of_webhook
        (container,) = audit_pod(rendering)["containers"]
        (policy,) = (flag for flag in container["args"] if flag.startswith("--policy="))
        assert policy in rendering.container["args"]

    def test_it_has_an_account_of_its_own(self) -> None:
        rendering = rendered("audit-values")
        account = audit_pod(rendering)["serviceAccountName"]
        assert account == AUDIT_NAME != rendering.pod["serviceAccountName"]
        (subject,) = rendering.one("ClusterRoleBinding", AUDIT_NAME)["subjects"]
        assert subject["name"] == account

    def test_no_two_run_at_once_and_findings_are_not_tried_again(self) -> None:
        spec = rendered("audit-values").one("CronJob", AUDIT_NAME)["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        fail, _ = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
        assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [1, 2])
        (container,) = audit_pod(rendered("audit-values"))["containers"]
        assert fail["onExitCodes"]["containerName"] == container["name"]

    def test_its_pods_do_not_serve(self) -> None:
        rendering = rendered("audit-values")
        template = rendering.one("CronJob", AUDIT_NAME)["spec"]["jobTemplate"]["spec"]["template"]
        selector = rendering.one("Service")["spec"]["selector"]
        assert not selector.items() <= template["metadata"]["labels"].items()

    def test_known_findings_come_from_a_config_map(self, everything: Rendering) -> None:
        (container,) = audit_pod(everything)["containers"]
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert f"--baseline={mounts['baseline']}/baseline.yaml" in container["args"]


PRESETS = {"observe-values": Action.AUDIT, "warn-values": Action.WARN}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_for_a_gentle_begin_refuses_nothing_and_logs_what_it_would(preset: str) -> None:
    rendering, milder = rendered(preset), PRESETS[preset]
    assert rendering.webhook["failurePolicy"] == "Ignore"
    assert f"--log-findings={milder}" in rendering.container["args"]
    policy = policy_of(rendering)
    for code, rule in RULES.items():
        denies = not rule.stored_only and Action.DENY in rule.default.values()
        assert policy.file.rules.get(code) == (milder if denies else None), code


class TestHooks:
    def test_hooks_leave_nothing_behind(self, everything: Rendering) -> None:
        hooks = [o for o in everything if "helm.sh/hook" in o["metadata"].get("annotations", {})]
        assert {o["kind"] for o in hooks} >= {"Job", "Pod", "ServiceAccount", "Role"}
        for hook in hooks:
            kept = hook["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
            assert set(kept) == {"before-hook-creation", "hook-succeeded", "hook-failed"}

    def test_the_webhook_itself_is_no_hook_and_so_goes_with_the_release(
        self, default: Rendering
    ) -> None:
        """`one`: the empty one, for uninstalling, is not rendered without a cluster."""
        assert "annotations" not in default.one("ValidatingWebhookConfiguration")["metadata"]

    @pytest.mark.parametrize("variant", ["at once", "open"])
    def test_there_is_nothing_to_activate(self, variant: str) -> None:
        assert rendered(variant).kind("Job") == []


WRONG: dict[str, tuple[Json, str]] = {
    "reports that lack something": (
        {"audit": {"policyReports": True, "excludeRules": ["EG604"]}},
        "leave out audit.excludeRules",
    ),
    "lines in the form of a page": (
        {"audit": {"watch": True, "output": "html"}},
        "audit.output must be text or json",
    ),
    "a schedule that is none": ({"audit": {"schedule": "daily"}}, "schedule"),
    "a rule that there cannot be": ({"audit": {"excludeRules": ["EG1"]}}, "excludeRules"),
    "findings that are logged of no action": ({"logFindings": "off"}, "logFindings"),
    "a misspelt key": ({"webhook": {"failurePolicyy": "Fail"}}, "failurePolicyy"),
    "a key that is none": ({"replicaCount": 3}, "replicaCount"),
    "no replica": ({"replicas": 0}, "replicas"),
    "a pattern for a user": ({"trustedWriters": ["system:*"]}, "trustedWriters"),
    "a timeout that the API server refuses": (
        {"webhook": {"timeoutSeconds": 31}},
        "timeoutSeconds",
    ),
    "no such failure policy": ({"webhook": {"failurePolicy": "fail"}}, "failurePolicy"),
    "no such mode": ({"certificates": {"mode": "magic"}}, "mode"),
    "no such rule": ({"policy": {"rules": {"EG999": "warn"}}}, "policy"),
    "no such key of policies": ({"policy": {"forbidden": []}}, "forbidden"),
    "an exemption without a reason": ({"policy": {"exemptions": [{"users": ["x"]}]}}, "reason"),
    "another probe": ({"livenessProbe": {"exec": {"command": ["true"]}}}, "livenessProbe"),
    "a Secret without its CA": (
        {"certificates": {"mode": "secret", "secretName": "x"}},
        "needs certificates.secretName",
    ),
    "a CA that nobody asked for": (
        {"certificates": {"caBundle": "x"}},
        "certificates.caBundle is for certificates.mode secret",
    ),
    "an issuer that nobody asks": (
        {"certificates": {"certManager": {"issuerRef": {"name": "x"}}}},
        "is for certificates.mode certManager",
    ),
    "names of clients without their CA": (
        {"certificates": {"clientCA": {"names": ["x"]}}},
        "says nothing without certificates.clientCA.secretName",
    ),
    "trusted writers for one of two": (
        {"policy": {"trustedWriters": ["x"]}},
        "set trustedWriters at the top level",
    ),
    "two policies": (
        {"policy": {"restrictedRight": True}, "existingPolicyConfigMap": "x"},
        "not both",
    ),
    "more than at most": (
        {"autoscaling": {"enabled": True, "minReplicas": 9}},
        "autoscaling.maxReplicas is less",
    ),
    "one port for two": ({"ports": {"health": 8443}}, "must differ"),
    "a class that is not ours": ({"priorityClass": {"create": True}}, "begin with system-"),
    "actions that exclude each other": (
        {"fallbackPolicy": {"enabled": True, "validationActions": ["Deny", "Warn"]}},
        "Deny and Warn",
    ),
    "a budget of nothing": (
        {"podDisruptionBudget": {"maxUnavailable": 0}},
        "would block draining nodes",
    ),
    "a CA that is none": (
        {"certificates": {"mode": "secret", "secretName": "x", "caBundle": "nonsense"}},
        "certificates.caBundle holds no certificate",
    ),
    "a CA that ends too early": (
        {"certificates": {"selfManaged": {"caLifetime": "179d"}}},
        "caLifetime must be at least twice servingLifetime",
    ),
    "a certificate that ends too early": (
        {"certificates": {"selfManaged": {"servingLifetime": "119m"}}},
        "servingLifetime must be at least twelve times propagation",
    ),
    "two monitors": (
        {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
        "everything would be counted twice",
    ),
    "a Pod label of the chart's own": (
        {"podLabels": {"app.kubernetes.io/component": "x"}},
        "podLabels: app.kubernetes.io/component is a label of the chart's own",
    ),
    "a common label of the chart's own": (
        {"commonLabels": {"app.kubernetes.io/version": "x"}},
        "commonLabels: app.kubernetes.io/version is a label of the chart's own",
    ),
    "a field of the Pods that another value is for": (
        {"extraPodSpec": {"volumes": []}},
        "extraPodSpec.volumes: the chart writes this field itself",
    ),
    "replicas that all stop at once": ({"updateStrategy": {"type": "Recreate"}}, "RollingUpdate"),
    "an address without brackets": ({"listenAddress": "::"}, "listenAddress"),
    "an alert that there is not": (
        {"prometheusRule": {"enabled": True, "disabledAlerts": ["Nope"]}},
        "there is no alert Nope; there are EndpointsGuardDown, ",
    ),
    "a condition by the chart's own name": (
        {"webhook": {"matchConditions": [{"name": "not-the-control-plane", "expression": "true"}]}},
        "change trustedWriters",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_values_are_refused_and_named(case: str, helm: Helm) -> None:
    values, said = WRONG[case]
    done = helm.template(values)
    assert done.status != 0
    assert said in done.errors


@pytest.mark.parametrize("case", ["a misspelt key", "no such rule", "a Secret without its CA"])
def test_helm_3_refuses_them_too(case: str, tmp_path: Path) -> None:
    values, said = WRONG[case]
    done = Helm("v3", tmp_path).template(values)
    assert done.status != 0
    assert said in done.errors


class TestMonitoring:
    OF_THE_API_SERVER = frozenset(
        {
            "apiserver_admission_webhook_rejection_count",
            "apiserver_admission_webhook_fail_open_count",
            "apiserver_admission_webhook_admission_duration_seconds_bucket",
            "apiserver_admission_match_condition_evaluation_errors_total",
        }
    )
    OF_OTHERS = frozenset(
        {
            "up",
            "kube_job_status_failed",
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
        }
    )

    @staticmethod
    def expressions(rendering: Rendering) -> list[str]:
        alerts = [alert["expr"] for alert in alerts_of(rendering)]
        dashboard = rendering.one("ConfigMap", f"{RELEASE}-dashboard")["data"]
        panels = json.loads(dashboard["endpoints-guard.json"])["panels"]
        targets = [target for panel in panels for target in panel.get("targets", ())]
        return [*alerts, *(target["expr"] for target in targets)]

    def test_alerts_and_dashboard_name_metrics_that_there_are(self, everything: Rendering) -> None:
        known = {metric.name for metric in METRICS}
        known |= {f"{name}_bucket" for name in known} | self.OF_THE_API_SERVER | self.OF_OTHERS
        used = {
            name
            for text in self.expressions(everything)
            for name, _ in labels_by_metric(promql_parser.parse(text))
        }
        assert used <= known
        assert len(used) > 10

    def test_every_metric_is_on_the_dashboard(self, everything: Rendering) -> None:
        dashboard = everything.one("ConfigMap", f"{RELEASE}-dashboard")["data"]
        shown = dashboard["endpoints-guard.json"]
        assert [m.name for m in METRICS if m.name not in shown] == []

    def test_every_expression_is_promql(self, everything: Rendering) -> None:
        for text in self.expressions(everything):
            parsed = promql_parser.parse(text)
            assert labels_by_metric(parsed), text

    def test_expressions_use_labels_that_the_metrics_have(self, everything: Rendering) -> None:
        known = {metric.name: metric.labels for metric in METRICS}
        for text in self.expressions(everything):
            for name, matchers in labels_by_metric(promql_parser.parse(text)):
                for label, value in matchers if name in known else ():
                    assert value in known[name][label], text

    def test_a_panel_has_a_title_a_place_and_a_unit(self, everything: Rendering) -> None:
        dashboard = everything.one("ConfigMap", f"{RELEASE}-dashboard")["data"]
        panels = json.loads(dashboard["endpoints-guard.json"])["panels"]
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
        assert len(set(places)) == len(places)
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert len({panel["title"] for panel in panels}) == len(panels)
        assert all(p["fieldConfig"]["defaults"]["unit"] for p in panels if p["type"] != "row")

    def test_a_pod_monitor_finds_the_port_by_its_name(self) -> None:
        rendering = rendered("PodMonitor")
        spec = rendering.one("PodMonitor")["spec"]
        (endpoint,) = spec["podMetricsEndpoints"]
        assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("1m", "5s")
        assert endpoint["port"] in {port["name"] for port in rendering.container["ports"]}
        labels = rendering.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        (condition,) = spec["selector"]["matchExpressions"]
        assert labels[condition["key"]] in condition["values"]

    def test_a_service_monitor_relabels_as_it_is_told(self, everything: Rendering) -> None:
        (endpoint,) = everything.one("ServiceMonitor")["spec"]["endpoints"]
        assert endpoint["relabelings"] == [{"targetLabel": "cluster", "replacement": "prod"}]
        assert endpoint["metricRelabelings"] == [{"action": "labeldrop", "regex": "pod"}]

    @pytest.mark.parametrize("variant", ["everything-values", "PodMonitor", "audit-watch-values"])
    def test_that_nobody_answers_is_told_by_labels_that_both_kinds_of_monitor_give(
        self, variant: str
    ) -> None:
        """A PodMonitor's targets have no `service`: absent() of one would cry for ever."""
        rendering = rendered(variant)
        down = {
            alert["alert"]: dict(labels_by_metric(promql_parser.parse(alert["expr"]))[0][1])
            for alert in alerts_of(rendering)
            if alert["alert"].endswith("Down")
        }
        for labels in down.values():
            assert labels.keys() == {"namespace", "container", "pod"}
            (deployment,) = (
                each
                for each in rendering.kind("Deployment")
                if re.fullmatch(labels["pod"], f"{each['metadata']['name']}-7d4b9c-x2x7z")
                and container_of(each)["name"] == labels["container"]
            )
            assert deployment["metadata"]["namespace"] == labels["namespace"]
        assert len(down) == (2 if variant == "audit-watch-values" else 1)

    @pytest.mark.parametrize(
        ("certificates", "seconds"),
        [
            ({}, 7 * 86400),
            ({"selfManaged": {"servingLifetime": "2d"}}, 8 * 3600),
            ({"mode": "certManager"}, 7 * 86400),
            ({"mode": "certManager", "certManager": {"renewBefore": "8h"}}, 4 * 3600),
            ({"mode": "certManager", "certManager": {"renewBefore": "8h30m"}}, 7 * 86400),
        ],
    )
    def test_a_certificate_of_a_few_days_is_no_reason_for_an_alert(
        self, certificates: Json, seconds: int, helm: Helm
    ) -> None:
        """Renewed as it should be, it never comes so near its end."""
        values = {"certificates": certificates, "prometheusRule": {"enabled": True}}
        (alert,) = (
            alert
            for alert in alerts_of(helm.rendered(values))
            if alert["alert"] == "EndpointsGuardCertificateEnds"
        )
        assert alert["expr"].endswith(f" - time() < {seconds}")

    def test_an_alert_may_be_left_out(self, everything: Rendering, helm: Helm) -> None:
        names = {alert["alert"] for alert in alerts_of(everything)}
        values = {"prometheusRule": {"enabled": True}}
        assert {alert["alert"] for alert in alerts_of(helm.rendered(values))} - names == {
            "EndpointsGuardBadRequests"
        }

    def test_they_name_this_webhook(self, everything: Rendering) -> None:
        asked = [text for text in self.expressions(everything) if "apiserver_" in text]
        assert all(f'name="{everything.webhook["name"]}"' in text for text in asked)

    def test_an_alert_says_what_to_do(self, everything: Rendering) -> None:
        (rule,) = everything.kind("PrometheusRule")
        for alert in rule["spec"]["groups"][0]["rules"]:
            assert alert["annotations"]["summary"].endswith(".")
            assert alert["annotations"]["description"].endswith(".")
            assert alert["annotations"]["runbook_url"].endswith(
                f"/blob/v{__version__}/docs/operations.md#what-to-alert-on"
            )
            assert alert["labels"]["team"] == "platform"


class TestFallback:
    def test_it_names_every_special_range_that_the_rules_know(self, everything: Rendering) -> None:
        """An address out of each; what isGlobalUnicast knows is proved against an API server."""
        (policy,) = (
            o
            for o in everything.kind("ValidatingAdmissionPolicy")
            if o["metadata"]["name"].endswith("-endpoints")
        )
        (ranges,) = (v for v in policy["spec"]["variables"] if v["name"] == "forbidden")
        cidrs = re.findall(r"cidr\('([^']+)'\)", ranges["expression"])
        assert all(parse(cidr.partition("/")[0]).special for cidr in cidrs)
        assert set(VALUES["fallbackPolicy"]["forbiddenCIDRs"]) < set(cidrs)

    def test_it_is_off_by_default(self, default: Rendering) -> None:
        assert default.kind("ValidatingAdmissionPolicy") == []


def labels_by_metric(parsed: promql_parser.Expr) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each metric that an expression asks for, with the labels that it must have."""
    if isinstance(parsed, promql_parser.VectorSelector):
        return [(parsed.name or "", [(m.name, m.value) for m in parsed.matchers.matchers])]
    parts = [getattr(parsed, name, None) for name in ("expr", "vector_selector", "lhs", "rhs")]
    parts += getattr(parsed, "args", [])
    return [found for part in parts if part is not None for found in labels_by_metric(part)]


NOTES: dict[str, tuple[Json, str]] = {
    "one replica": ({"replicas": 1}, "WARNING: with one replica"),
    "fails open": ({"webhook": {"failurePolicy": "Ignore"}}, "WARNING: failurePolicy is Ignore"),
    "a writer is missing": (
        {"trustedWriters": ["system:kube-controller-manager"]},
        "WARNING: trustedWriters lacks system:apiserver",
    ),
    "it stops too soon": ({"drainSeconds": 5}, "WARNING: drainSeconds is 5"),
    "an update that waits for a node": ({"hostNetwork": True}, "WARNING: with hostNetwork"),
    "alerts about what nobody reads": (
        {"prometheusRule": {"enabled": True}},
        "WARNING: prometheusRule without serviceMonitor or podMonitor",
    ),
    "helm is less patient": (
        {"activation": {"timeoutSeconds": 300}},
        "WARNING: helm's --timeout must be longer",
    ),
}


@pytest.mark.parametrize("case", NOTES)
def test_the_notes_warn_of_what_is_unwise(case: str, helm: Helm) -> None:
    values, said = NOTES[case]
    assert said in notes(helm, values)


def test_the_notes_of_the_default_values_warn_of_nothing(helm: Helm) -> None:
    said = notes(helm, {})
    assert "helm test endpoints-guard --namespace endpoints-guard" in said
    assert "WARNING" not in said


def alerts_of(rendering: Rendering) -> list[Json]:
    (rule,) = rendering.kind("PrometheusRule")
    return [alert for group in rule["spec"]["groups"] for alert in group["rules"]]


def container_of(deployment: Json) -> Json:
    first: Json = deployment["spec"]["template"]["spec"]["containers"][0]
    return first


def notes(helm: Helm, values: Json) -> str:
    command = ("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client")
    return helm.must(*command, *helm.values(values)).partition("NOTES:")[2]


class TestDocumentation:
    def test_every_value_says_what_it_means(self) -> None:
        documented = {value.path for value in documented_values()}

        def undocumented(values: Json, schema: Json, path: str = "") -> set[str]:
            missing = set()
            for key, value in values.items():
                here = f"{path}{key}"
                known = schema["properties"][key]
                if "properties" in known and here not in documented:
                    missing |= undocumented(value, known, f"{here}.")
                elif here not in documented:
                    missing.add(here)
            return missing

        assert undocumented(VALUES, SCHEMA) == set()

    def test_the_schema_knows_the_values_that_there_are_and_no_others(self) -> None:
        def compare(values: Any, schema: Json, path: str) -> None:
            if "properties" in schema:
                assert schema["additionalProperties"] is False, path
                known = schema["properties"].keys() - {"global"}
                if values or path != "certificates.certManager.issuerRef":
                    assert known == values.keys(), path
                    for key, value in values.items():
                        compare(value, schema["properties"][key], f"{path}.{key}".lstrip("."))

        compare(VALUES, SCHEMA, "")

    def test_the_readme_has_the_current_table(self) -> None:
        readme = README.read_text(encoding="utf-8")
        assert readme == with_table(readme), "run: python -m tests.chart.documentation"


def policy_of(rendering: Rendering) -> Any:
    text = rendering.one("ConfigMap", f"{RELEASE}-policy")["data"]["policy.yaml"]
    return parse_policy(yaml.safe_load(text))
