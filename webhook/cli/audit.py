"""`endpoints-guard audit`: what is wrong or dangerous in what a cluster has stored."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from webhook.cli.baselines import Baseline, baseline_options
from webhook.cli.cluster import kubeconfig_option
from webhook.cli.clusters import Clusters
from webhook.cli.policies import policy_option, policy_source
from webhook.cli.problems import EXIT_UNREAD, UsageProblem
from webhook.cli.publishing import Publishing, publishing_options
from webhook.cli.reporting import Reporting, reporting_options
from webhook.cluster.auditor import SETTLE, Scope
from webhook.cluster.manifests import read_paths, state_of
from webhook.cluster.origins import located
from webhook.core.audit import audit
from webhook.core.policy import Policy
from webhook.core.report import Report
from webhook.core.rules import RULES


@click.command()
@click.option(
    "--state",
    "state_paths",
    metavar="PATH",
    multiple=True,
    help="Audit this instead of a cluster: a snapshot, manifests, a folder of them, or - (standard "
    "input); may be repeated.",
)
@kubeconfig_option
@click.option(
    "--context",
    "contexts",
    metavar="NAME",
    multiple=True,
    help="A context of the kubeconfig; several are audited one after the other.",
)
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    metavar="NAME",
    multiple=True,
    help="Only what is in this namespace; may be repeated.  [default: everything]",
)
@click.option(
    "--rule",
    "wanted",
    metavar="RULE",
    multiple=True,
    help="Only by this rule, such as EG501 or foreign-pod; may be repeated.",
)
@click.option(
    "--exclude-rule",
    "unwanted",
    metavar="RULE",
    multiple=True,
    help="Not by this rule; may be repeated.",
)
@policy_option
@click.option(
    "--settle",
    type=click.FloatRange(0, 600),
    default=SETTLE,
    show_default=True,
    metavar="SECONDS",
    help="Before each of the two looks that confirm a finding: how long controllers may need.",
)
@publishing_options
@baseline_options
@reporting_options
def command(
    *,
    state_paths: tuple[str, ...],
    kubeconfig: str | None,
    contexts: tuple[str, ...],
    namespaces: tuple[str, ...],
    wanted: tuple[str, ...],
    unwanted: tuple[str, ...],
    policy: Path | None,
    settle: float,
    publishing: Publishing,
    baseline: Baseline,
    reporting: Reporting,
) -> None:
    """Judge everything that a cluster has stored, and say who may write endpoints.

    Reads only, unless policy reports are wanted. Every Endpoints and EndpointSlice is judged by the
    rules of admission, whoever wrote it, and by those for the audit (EG6xx, see `endpoints-guard
    rules`). What seems wrong is looked at twice more, some seconds apart, so that a controller that
    is about to follow is not blamed.

    \b
    endpoints-guard audit
    endpoints-guard audit --context prod --context staging --output html --output-file audit.html
    endpoints-guard audit -n shop --rule foreign-pod --rule EG502
    endpoints-guard audit --baseline known.yaml --fail-on warn
    endpoints-guard audit --state snapshot.json
    kubectl get svc,pods,nodes,endpoints,endpointslices -A -o json | endpoints-guard audit --state -

    Exit code: 0 nothing to deny, 1 findings, 2 a file could not be read, 3 a cluster or a part of
    it could not; what was judged nevertheless is reported.
    """
    held = policy_source(policy).current()
    scope = Scope(
        rules=_selected(held, wanted, unwanted), namespaces=frozenset(namespaces), settle=settle
    )
    published = True
    if state_paths:
        if kubeconfig is not None or contexts or publishing.wanted:
            raise UsageProblem(
                "--state audits files: leave out --kubeconfig, --context, --write-policy-reports"
            )
        report = _of_files(state_paths, held, scope)
    else:
        if publishing.wanted and (wanted or unwanted):
            raise UsageProblem("policy reports say everything: leave out --rule, --exclude-rule")
        clusters = Clusters(
            kubeconfig=kubeconfig,
            contexts=contexts,
            policy=held,
            scope=scope,
            publishing=publishing,
            known=baseline.known,
        )
        audited = tuple(clusters.audited())
        published = all(each.published for each in audited)
        report = _merged(each.report for each in audited)
    report = baseline.applied(report, scope)
    reporting.write(report, "audit")
    sys.exit(reporting.exit_code(report) if published else EXIT_UNREAD)


def _selected(policy: Policy, wanted: Iterable[str], unwanted: Iterable[str]) -> frozenset[str]:
    """The rules to judge by. One that is off everywhere costs no reading."""
    chosen = _codes("--rule", wanted) or policy.rules_in_force()
    return chosen - _codes("--exclude-rule", unwanted)


def _codes(option: str, names: Iterable[str]) -> frozenset[str]:
    by_name = {name.lower(): r.code for r in RULES.values() for name in (r.code, r.slug)}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        raise UsageProblem(f"{option}: there is no rule {unknown[0]}; see `endpoints-guard rules`")
    return frozenset(by_name[name.lower()] for name in names)


def _of_files(paths: tuple[str, ...], policy: Policy, scope: Scope) -> Report:
    manifests = read_paths(paths)
    inventory = state_of(manifests)
    for kind in ("Service", "Pod"):
        if not inventory.keys(kind):
            click.echo(f"there is no {kind} in it: is this the whole state?", err=True)
    judged = tuple(audit(inventory, policy, namespaces=scope.only, rules=scope.rules))
    places = manifests.sources
    return Report(
        objects=located(judged, [places.get(each.ref) for each in judged]),
        unreadable=manifests.unread,
    )


def _merged(reports: Iterable[Report]) -> Report:
    every = tuple(reports)
    return Report(
        objects=tuple(judged for report in every for judged in report.objects),
        unjudged=tuple(part for report in every for part in report.unjudged),
    )
