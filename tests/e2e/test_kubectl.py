"""People with kubectl: every way to write, good and bad, for real and as a dry run."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.api import Api, Json
from tests.e2e.cluster import (
    SERVICE_NAME,
    Namespace,
    NewNamespace,
    endpoints,
    entries,
    eventually,
    knows_foreign,
    pod,
    refuses,
    service,
)
from tests.e2e.controlplane import ControlPlane
from tests.e2e.controlplane.process import environment
from tests.e2e.webhook_process import JUDGED_BY, WebhookProcess, writer

pytestmark = pytest.mark.e2e

ENDPOINTS, SLICE = "Endpoints", "EndpointSlice"
OUTSIDE, ELSEWHERE = "198.51.100.7", "198.51.100.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody without trust, at a terminal."""

    plane: ControlPlane
    kubeconfig: Path
    foreign: str
    """The address of a Pod that is none of their business."""

    def kubectl(
        self, *words: str, stdin: str = "", editor: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What kubectl does, whatever that is."""
        variables = {"KUBECONFIG": str(self.kubeconfig), "KUBE_EDITOR": str(editor or "false")}
        return subprocess.run(
            [str(self.plane.binaries.kubectl), *words],
            env=environment(self.plane.directory) | variables,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def user(plane: ControlPlane, admin: Api, webhook: WebhookProcess) -> User:
    victim = Namespace(admin, "kubectl-victim").run(pod("victim-pod", labels={"app": "victim"}))
    probe = Namespace(admin, "probe-kubectl", "default")
    eventually(lambda: knows_foreign(probe, victim))
    return User(
        plane=plane,
        kubeconfig=writer(plane, admin, "alice"),
        foreign=victim["status"]["podIP"],
    )


def manual(namespace: Namespace, kind: str, ip: str) -> Json:
    """Endpoints or a slice of the Service `manual` with one address."""
    if kind == ENDPOINTS:
        return namespace.placed(endpoints("manual", {"ip": ip}, ports=[{"port": 5432}]))
    metadata = {"name": "manual-1", "labels": {SERVICE_NAME: "manual"}}
    return namespace.placed(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": kind,
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ip]}],
            "ports": [{"name": "", "protocol": "TCP", "port": 5432}],
        }
    )


def stored_ip(namespace: Namespace, kind: str) -> str:
    """The one address that is there; empty when the object is not."""
    name = "manual" if kind == ENDPOINTS else "manual-1"
    answer = namespace.api.get(kind, namespace.name, name)
    if not answer.ok:
        return ""
    [entry] = entries({"kind": kind, **answer.body})
    return str(entry["ip"] if kind == ENDPOINTS else entry["addresses"][0])


def by_file(*words: str) -> Callable[[Json], tuple[list[str], str]]:
    return lambda given: ([*words, "-f", "-"], json.dumps(given))


def by_patch(type_: str) -> Callable[[Json], tuple[list[str], str]]:
    def words(given: Json) -> tuple[list[str], str]:
        key = "subsets" if given["kind"] == ENDPOINTS else "endpoints"
        change: object = {key: given[key]}
        if type_ == "json":
            change = [{"op": "replace", "path": f"/{key}", "value": given[key]}]
        about = [given["kind"], given["metadata"]["name"], "-n", given["metadata"]["namespace"]]
        return ["patch", *about, "--type", type_, "--patch", json.dumps(change)], ""

    return words


WAYS = {
    "create": by_file("create"),
    "apply": by_file("apply"),
    "apply --server-side": by_file("apply", "--server-side", "--force-conflicts"),
    "replace": by_file("replace"),
    "patch --type strategic": by_patch("strategic"),
    "patch --type merge": by_patch("merge"),
    "patch --type json": by_patch("json"),
}


@pytest.mark.parametrize("kind", [ENDPOINTS, SLICE])
@pytest.mark.parametrize("way", WAYS)
def test_bad_writes_are_refused_and_good_ones_are_not(
    user: User, new_namespace: NewNamespace, way: str, kind: str
) -> None:
    namespace = new_namespace("default")
    namespace.create(service("manual", ports=[{"port": 5432}]))
    before = ""
    if way != "create":
        user_write(user, "create", manual(namespace, kind, OUTSIDE)).check_returncode()
        before = OUTSIDE
    bad, good = (manual(namespace, kind, ip) for ip in (user.foreign, ELSEWHERE))

    for flags in (["--dry-run=server"], []):
        refused = user_write(user, way, bad, *flags)
        assert refused.returncode == 1
        assert "EG501" in refused.stderr
        assert stored_ip(namespace, kind) == before
    tried = user_write(user, way, good, "--dry-run=server")
    assert (tried.returncode, stored_ip(namespace, kind)) == (0, before), tried.stderr
    done = user_write(user, way, good)
    assert (done.returncode, stored_ip(namespace, kind)) == (0, ELSEWHERE), done.stderr


def user_write(user: User, way: str, given: Json, *flags: str) -> subprocess.CompletedProcess[str]:
    words, stdin = WAYS[way](given)
    return user.kubectl(*words, *flags, stdin=stdin)


def test_a_refusal_says_what_to_do_and_nothing_of_the_victim(
    user: User, new_namespace: NewNamespace
) -> None:
    namespace = new_namespace("default")
    namespace.create(service("manual", ports=[{"port": 5432}]))
    said = user_write(user, "create", manual(namespace, ENDPOINTS, user.foreign)).stderr
    assert 'webhook "default.endpoints-guard.example" denied the request: EG501' in said
    assert f"{user.foreign} belongs to a Pod of another namespace" in said
    assert "victim" not in said


def test_a_warning_is_shown(user: User, new_namespace: NewNamespace) -> None:
    namespace = new_namespace("default")
    done = user_write(user, "create", manual(namespace, ENDPOINTS, OUTSIDE))
    assert done.returncode == 0
    assert "Warning: endpoints-guard: EG101" in done.stderr


@pytest.fixture
def old_and_bad(user: User, admin: Api, new_namespace: NewNamespace) -> Namespace:
    """A namespace whose endpoints were bad before the webhook came."""
    namespace = new_namespace()
    namespace.create(service("manual", ports=[{"port": 5432}]))
    for kind in (ENDPOINTS, SLICE):
        bad = manual(namespace, kind, user.foreign)
        bad["metadata"]["annotations"] = {"note": "before"}
        user_write(user, "apply", bad).check_returncode()
    labels = {f"{JUDGED_BY}-default": "yes"}
    admin.patch("Namespace", "", namespace.name, {"metadata": {"labels": labels}}).must()
    eventually(lambda: refuses(namespace))
    return namespace


def annotated(namespace: Namespace, kind: str, ip: str) -> Json:
    made = manual(namespace, kind, ip)
    made["metadata"]["annotations"] = {"note": "after"}
    return made


@pytest.mark.parametrize("kind", [ENDPOINTS, SLICE])
def test_metadata_of_old_bad_endpoints_can_be_changed(
    user: User, old_and_bad: Namespace, kind: str, tmp_path: Path
) -> None:
    about = [kind, "manual" if kind == ENDPOINTS else "manual-1", "-n", old_and_bad.name]
    apply, stdin = WAYS["apply"](annotated(old_and_bad, kind, user.foreign))
    for words, text in (
        (["annotate", *about, "more=yes"], ""),
        (["label", *about, "more=yes"], ""),
        (["patch", *about, "--patch", '{"metadata": {"annotations": {"more": "yes indeed"}}}'], ""),
        (apply, stdin),
        (["edit", *about], ""),
    ):
        editor = script(tmp_path, "s/more: .*/more: edited/")
        done = user.kubectl(*words, stdin=text, editor=editor)
        assert done.returncode == 0, done.stderr
    annotations = old_and_bad.get(kind, about[1])["metadata"]["annotations"]
    assert (annotations["note"], annotations["more"]) == ("after", "edited")


@pytest.mark.parametrize("kind", [ENDPOINTS, SLICE])
def test_old_bad_endpoints_can_be_mended_and_deleted_but_not_made_worse(
    user: User, old_and_bad: Namespace, kind: str, tmp_path: Path
) -> None:
    about = [kind, "manual" if kind == ENDPOINTS else "manual-1", "-n", old_and_bad.name]
    # The same address at another port is something new.
    worse = user.kubectl("edit", *about, editor=script(tmp_path, "s/port: 5432/port: 22/"))
    assert worse.returncode == 1
    assert "EG501" in worse.stderr
    mend = script(tmp_path, f"s/{user.foreign}/{OUTSIDE}/")
    user.kubectl("edit", *about, editor=mend).check_returncode()
    assert stored_ip(old_and_bad, kind) == OUTSIDE
    user.kubectl("delete", *about).check_returncode()


def script(directory: Path, change: str) -> Path:
    """An editor that changes what is outside of comments and of kubectl's own annotation."""
    file = directory / "editor"
    file.write_text(f"#!/bin/sh\nsed -i -e '/^ *#/!{{/last-applied/,+1!{change}}}' \"$1\"\n")
    file.chmod(0o755)
    return file
