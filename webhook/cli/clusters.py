"""The clusters that an audit is asked for, one after the other."""

from collections.abc import Iterator

from msgspec import Struct, structs

from webhook.cli.cluster import connect
from webhook.cli.problems import UsageProblem
from webhook.cli.progress import reading_progress
from webhook.cli.publishing import Publishing
from webhook.cluster.auditor import Auditor, Scope
from webhook.core.baseline import hide
from webhook.core.fingerprint import Identity
from webhook.core.policy import Policy
from webhook.core.report import Report, Unjudged


class Audited(Struct, frozen=True, kw_only=True):
    """What came of one cluster."""

    report: Report
    published: bool = True
    """False when policy reports were wanted and could not all be written."""


class Clusters(Struct, frozen=True, kw_only=True):
    """Which clusters, and how to audit them."""

    kubeconfig: str | None
    contexts: tuple[str, ...]
    policy: Policy
    scope: Scope
    publishing: Publishing
    known: frozenset[Identity]
    """What policy reports leave out."""

    def audited(self) -> Iterator[Audited]:
        """One after the other. With several, one that cannot be reached stops no other.

        Raises `UsageProblem` when the only one cannot even be named.
        """
        contexts = tuple(dict.fromkeys(self.contexts)) or (None,)
        for context in contexts:
            label = context if context and len(contexts) > 1 else ""
            try:
                yield self._audited(context, label)
            except UsageProblem as error:
                if not label:
                    raise
                lost = Unjudged(cluster=label, what="everything", reason=str(error))
                yield Audited(report=Report(objects=(), unjudged=(lost,)))

    def _audited(self, context: str | None, label: str) -> Audited:
        api = connect(self.kubeconfig, context, connections=1)
        with reading_progress(label) as progress:
            report = Auditor(api, self.policy, self.scope, progress=progress).run()
        unknown = hide(report, self.known)
        published = self.publishing.publish(api, unknown, self.scope.namespaces)
        return Audited(report=_named(report, label), published=published)


def _named(report: Report, cluster: str) -> Report:
    """The same with the cluster's name in it, where there are several."""
    return structs.replace(
        report,
        objects=tuple(structs.replace(each, cluster=cluster) for each in report.objects),
        unjudged=tuple(structs.replace(each, cluster=cluster) for each in report.unjudged),
    )
