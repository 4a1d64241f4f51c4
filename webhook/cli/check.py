"""`endpoints-guard check`: what admission would say of manifests, before they are applied."""

import sys
from pathlib import Path

import click
from msgspec import structs

from webhook.cli.cluster import cluster_options, connect, read_everything
from webhook.cli.policies import policy_option, policy_source
from webhook.cli.problems import UsageProblem
from webhook.cli.reporting import Reporting, reporting_options
from webhook.cluster.manifests import Manifests, read_paths, state_of
from webhook.cluster.origins import located
from webhook.core.decision import Decision
from webhook.core.engine import decide
from webhook.core.inventory import Inventory
from webhook.core.objects import AdmissionRequest, Endpoints, EndpointSlice
from webhook.core.policy import Policy
from webhook.core.report import Judged, Report


@click.command()
@click.option(
    "-f",
    "--filename",
    "paths",
    metavar="PATH",
    multiple=True,
    required=True,
    help="File, folder or - (standard input) with what to judge; may be repeated.",
)
@click.option(
    "--state",
    "state_paths",
    metavar="PATH",
    multiple=True,
    help="Further state to judge against: Services, Pods, Nodes, and the objects as they are now.",
)
@click.option(
    "-n",
    "--namespace",
    default="default",
    show_default=True,
    help="Where objects are that name no namespace.",
)
@click.option("--live", is_flag=True, help="Judge against the cluster of the kubeconfig.")
@cluster_options
@policy_option
@click.option("--user", default="", help="Judge as if this user wrote, by full name.")
@click.option("--group", "groups", multiple=True, help="A group of that user; may be repeated.")
@reporting_options
def command(
    *,
    paths: tuple[str, ...],
    state_paths: tuple[str, ...],
    namespace: str,
    live: bool,
    kubeconfig: str | None,
    context: str | None,
    policy: Path | None,
    user: str,
    groups: tuple[str, ...],
    reporting: Reporting,
) -> None:
    """Judge the Endpoints and EndpointSlices in files, as the webhook would.

    The Services, Pods and Nodes in the same input are the cluster to judge against, together with
    those in --state. An object that --state already holds is what the write replaces: only what is
    new in it can be denied, as at admission.

    \b
    endpoints-guard check -f manifests/
    endpoints-guard check -f endpoints.yaml --live
    endpoints-guard check -f endpoints.yaml --state snapshot.json
    kubectl get svc,pods,endpoints -o yaml | endpoints-guard check -f -

    Exit code: 0 nothing to deny, 1 findings, 2 a file could not be read, 3 the cluster could not.
    """
    if not live and (kubeconfig, context) != (None, None):
        raise UsageProblem("--kubeconfig and --context say which cluster, for --live: add that")
    if [*paths, *state_paths].count("-") > 1:
        raise UsageProblem("standard input can be read once: give - to one of -f and --state")
    rules = policy_source(policy).current()
    written, state = read_paths(paths, namespace), read_paths(state_paths, namespace)
    before = state_of(state)
    if live:
        before = read_everything(connect(kubeconfig, context, connections=1))
        state.add_to(before)
    report = judge_manifests(written, before, rules, user=user, groups=groups)
    report = structs.replace(report, unreadable=(*state.unread, *written.unread))
    reporting.write(report, "check")
    if not report.objects:
        click.echo("there was no Endpoints or EndpointSlice to judge", err=True)
    sys.exit(reporting.exit_code(report))


def judge_manifests(
    written: Manifests,
    before: Inventory,
    policy: Policy,
    *,
    user: str = "",
    groups: tuple[str, ...] = (),
) -> Report:
    """What admission would say of these writes; their other objects are added to `before`."""
    requests = tuple(_request(each, before, user, groups) for each in written.subjects)
    written.add_to(before)
    judged = tuple(
        _judged(request, decide(request, before, policy, most=sys.maxsize)) for request in requests
    )
    return Report(objects=located(judged, written.subject_sources))


def _request(
    subject: Endpoints | EndpointSlice, before: Inventory, user: str, groups: tuple[str, ...]
) -> AdmissionRequest:
    old = before.published(subject.ref)
    return AdmissionRequest(
        ref=subject.ref,
        operation="CREATE" if old is None else "UPDATE",
        username=user,
        groups=groups,
        new=subject,
        old=old,
    )


def _judged(request: AdmissionRequest, decision: Decision) -> Judged:
    return Judged(ref=request.ref, verdict=decision.verdict, findings=decision.findings)
