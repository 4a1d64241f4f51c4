"""`endpoints-guard audit`: what is wrong or dangerous in what a cluster has stored."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import click
from msgspec import Struct

from webhook.cli.baselines import Baseline, baseline_options
from webhook.cli.cluster import connect, kubeconfig_option
from webhook.cli.clusters import Audited, Clusters
from webhook.cli.listening import ListenType
from webhook.cli.policies import policy_option, policy_source
from webhook.cli.problems import EXIT_UNREAD, UsageProblem
from webhook.cli.publishing import Publishing, publishing_options
from webhook.cli.reporting import Reporting, reporting_options
from webhook.cli.watching import Watching, watch
from webhook.cluster.audit_watch import AuditWatch
from webhook.cluster.auditor import SETTLE, Scope
from webhook.cluster.file_audit import audit_files
from webhook.cluster.manifests import read_paths
from webhook.cluster.policies import PolicySource
from webhook.core.policy import Policy
from webhook.core.report import Report
from webhook.core.rules import RULES
from webhook.core.text import did_you_mean
from webhook.gateway import Listen


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
@click.option(
    "--watch",
    "goes_on",
    is_flag=True,
    help="Go on until stopped: print what is new and what is resolved, a line each (-o text or "
    "json), and export metrics. One process audits one cluster.",
)
@click.option(
    "--health-listen",
    type=ListenType(),
    default="0.0.0.0:8081",
    show_default=True,
    help="With --watch, plain HTTP for probes and metrics: /livez, /readyz, /metrics.",
)
@publishing_options
@baseline_options
@reporting_options
def command(**flags: Any) -> None:
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
    endpoints-guard audit --watch --write-policy-reports
    endpoints-guard audit --state snapshot.json
    kubectl get svc,pods,nodes,endpoints,endpointslices -A -o json | endpoints-guard audit --state -

    Exit code: 0 nothing to deny, 1 findings, 2 a file could not be read, 3 a cluster or a part of
    it could not; what was judged nevertheless is reported.
    """
    asked = _Flags(**flags)
    policies = policy_source(asked.policy)
    scope = _scope(asked, policies.current())
    if asked.goes_on:
        _go_on(asked, scope, policies)
    else:
        _run_once(asked, scope, policies.current())


class _Flags(Struct, frozen=True, kw_only=True):
    """The flags, by the names that click gives them."""

    state_paths: tuple[str, ...]
    kubeconfig: str | None
    contexts: tuple[str, ...]
    namespaces: tuple[str, ...]
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]
    policy: Path | None
    settle: float
    goes_on: bool
    health_listen: Listen
    publishing: Publishing
    baseline: Baseline
    reporting: Reporting


def _scope(asked: _Flags, policy: Policy) -> Scope:
    """What is to be judged. Raises `UsageProblem` for flags that exclude each other."""
    if asked.publishing.wanted and (asked.wanted or asked.unwanted):
        raise UsageProblem("policy reports say everything: leave out --rule, --exclude-rule")
    live = asked.kubeconfig is not None or asked.contexts
    if asked.state_paths and (live or asked.publishing.wanted or asked.goes_on):
        others = "--kubeconfig, --context, --write-policy-reports, --watch"
        raise UsageProblem(f"--state audits files: leave out {others}")
    return Scope(
        rules=_selected(asked, policy),
        namespaces=frozenset(asked.namespaces),
        settle=asked.settle,
    )


def _go_on(asked: _Flags, scope: Scope, policies: PolicySource) -> None:
    if len(asked.contexts) > 1:
        raise UsageProblem("--watch audits one cluster: start one for each --context")
    if asked.baseline.to is not None:
        raise UsageProblem("--watch writes no baseline: an audit that ends does")
    watching = Watching(
        as_json=_line_format(asked.reporting) == "json",
        health_listen=asked.health_listen,
        publishing=asked.publishing,
        namespaces=scope.namespaces,
    )
    api = connect(asked.kubeconfig, next(iter(asked.contexts), None), connections=12)
    audit_watch = AuditWatch(api, policies.current, scope, known=asked.baseline.known)
    watch(api, audit_watch, policies, watching)


def _run_once(asked: _Flags, scope: Scope, policy: Policy) -> NoReturn:
    caveat = ""
    if asked.state_paths:
        of_files = audit_files(read_paths(asked.state_paths), policy, scope)
        audited, caveat = [Audited(report=of_files.report)], of_files.caveat
    else:
        clusters = Clusters(
            kubeconfig=asked.kubeconfig,
            contexts=asked.contexts,
            policy=policy,
            scope=scope,
            publishing=asked.publishing,
            known=asked.baseline.known,
        )
        audited = list(clusters.audited())
    report = asked.baseline.applied(_merged(each.report for each in audited), scope)
    asked.reporting.write(report, "audit")
    click.echo(caveat, nl=False, err=True)
    complete = all(each.published for each in audited)
    sys.exit(asked.reporting.exit_code(report) if complete else EXIT_UNREAD)


def _line_format(reporting: Reporting) -> str:
    """The format in which news are told."""
    (output, *more) = reporting.outputs
    if more or output.file is not None or output.format not in ("text", "json"):
        raise UsageProblem("--watch prints lines: -o text or -o json, and no file")
    return output.format


def _selected(asked: _Flags, policy: Policy) -> frozenset[str]:
    """The rules to judge by. One that is off everywhere costs no reading, but with `--watch` it may
    come into force later.
    """
    every = frozenset(RULES) if asked.goes_on else policy.rules_in_force()
    chosen = _codes("--rule", asked.wanted) or every
    left = chosen - _codes("--exclude-rule", asked.unwanted)
    if not left:
        raise UsageProblem("--rule, --exclude-rule: no rule is left to judge by")
    return left


def _codes(option: str, names: Iterable[str]) -> frozenset[str]:
    by_name = {name.lower(): r.code for r in RULES.values() for name in (r.code, r.slug)}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        near = did_you_mean(unknown[0], (name for r in RULES.values() for name in (r.code, r.slug)))
        raise UsageProblem(
            f"{option}: there is no rule {unknown[0]}; see `endpoints-guard rules`{near}"
        )
    return frozenset(by_name[name.lower()] for name in names)


def _merged(reports: Iterable[Report]) -> Report:
    every = tuple(reports)
    return Report(
        objects=tuple(judged for report in every for judged in report.objects),
        unreadable=tuple(part for report in every for part in report.unreadable),
        unjudged=tuple(part for report in every for part in report.unjudged),
    )
