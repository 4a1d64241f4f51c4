"""`--write-policy-reports`: findings as objects in the cluster that they were found in."""

from collections.abc import Callable, Collection
from functools import wraps
from time import time
from typing import Any

import click
from msgspec import Struct

from webhook.cluster.api import ClusterApi
from webhook.cluster.errors import ClusterUnavailable
from webhook.cluster.report_writer import served_api, write_reports
from webhook.core.policy_reports import REPORT_APIS
from webhook.core.report import Report


class Publishing(Struct, frozen=True, kw_only=True):
    """What the flags of `publishing_options` ask for."""

    wanted: bool = False
    report_api: str = "auto"

    def publish(self, api: ClusterApi, report: Report, namespaces: Collection[str]) -> bool:
        """Write them, if they are wanted. False, after saying why, when that failed.

        An audit that is not complete changes nothing: what it misses may still be wrong.
        """
        if not self.wanted:
            return True
        if report.unjudged:
            return _failed("the audit is not complete, so they stay as they are")
        try:
            served = served_api(api, self.report_api)
            if served is None:
                names = " nor ".join(
                    each.group_version
                    for each in REPORT_APIS
                    if self.report_api in ("auto", each.name)
                )
                return _failed(f"the cluster does not serve {names}: install its CRDs")
            written = write_reports(api, served, report, int(time()), namespaces)
        except ClusterUnavailable as error:
            return _failed(error.reason)
        click.echo(written, err=True)
        return not [_failed(problem) for problem in written.problems]


def publishing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--write-policy-reports` and `--policy-report-api`; pass them on as `publishing`."""

    @click.option(
        "--write-policy-reports",
        is_flag=True,
        help="Keep a PolicyReport or OpenReports object for each namespace with findings.",
    )
    @click.option(
        "--policy-report-api",
        type=click.Choice(["auto", *(each.name for each in REPORT_APIS)]),
        default="auto",
        show_default=True,
        help="Which of them; auto is what the cluster has, OpenReports before PolicyReport.",
    )
    @wraps(command)
    def with_publishing(
        *, write_policy_reports: bool, policy_report_api: str, **others: Any
    ) -> Any:
        publishing = Publishing(wanted=write_policy_reports, report_api=policy_report_api)
        return command(publishing=publishing, **others)

    return with_publishing


def _failed(reason: str) -> bool:
    click.echo(f"policy reports: {reason}", err=True)
    return False
