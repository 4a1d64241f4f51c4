"""`endpoints-guard explain`: what a rule means, or why an object is judged as it is."""

import re
from pathlib import Path
from typing import Final

import click

from webhook.cli.cluster import cluster_options, connect, read_everything
from webhook.cli.policies import policy_option, policy_source
from webhook.cli.problems import UsageProblem
from webhook.cluster.manifests import read_state
from webhook.core.catalogue import as_page
from webhook.core.explain import explain
from webhook.core.inventory import Inventory
from webhook.core.objects import ObjectRef
from webhook.core.rules import RULES
from webhook.core.text import did_you_mean

_KINDS: Final = {
    "endpoints": "Endpoints",
    "ep": "Endpoints",
    "endpointslices": "EndpointSlice",
    "endpointslice": "EndpointSlice",
}
_OBJECT: Final = re.compile(rf"(?P<kind>{'|'.join(_KINDS)})/(?P<name>\S+)", re.IGNORECASE)


@click.command()
@click.argument("what")
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Where the object is."
)
@click.option(
    "--state",
    "state_paths",
    metavar="PATH",
    multiple=True,
    help="Manifests or a snapshot to look in instead of a cluster; may be repeated.",
)
@policy_option
@cluster_options
def command(
    *,
    what: str,
    namespace: str,
    state_paths: tuple[str, ...],
    policy: Path | None,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Say what a rule means, or why an object is judged as it is and what to do about it.

    WHAT is a rule, by code or slug, or an object of the cluster.

    \b
    endpoints-guard explain EG201
    endpoints-guard explain endpoints/wordpress -n wordpress-ns
    endpoints-guard explain endpointslice/wordpress-x7k2p -n wordpress-ns --state snapshot.json
    """
    match = _OBJECT.fullmatch(what)
    if match is None:
        _explain_rule(what)
        return
    ref = ObjectRef(_KINDS[match["kind"].lower()], namespace, match["name"])
    if state_paths and (kubeconfig, context) != (None, None):
        raise UsageProblem("--state looks in files: leave out --kubeconfig, --context")
    rules = policy_source(policy).current()
    inventory = _inventory(state_paths, kubeconfig, context)
    subject = inventory.published(ref)
    if subject is None:
        missing = f"there is no {ref.kind} {ref.name} in namespace {namespace}"
        raise UsageProblem(f"{missing}{_elsewhere(ref, inventory)}")
    click.echo(explain(subject, inventory, rules), nl=False)


def _elsewhere(ref: ObjectRef, inventory: Inventory) -> str:
    """Whoever forgets --namespace looks in the default one."""
    names = inventory.keys(ref.kind)
    others = sorted(namespace for namespace, name in names if name == ref.name)
    return f"; there is one in namespace {', '.join(others)}" if others else ""


def _explain_rule(what: str) -> None:
    for rule in RULES.values():
        if what.casefold() in (rule.code.casefold(), rule.slug):
            click.echo(as_page(rule), nl=False)
            return
    names = [name for rule in RULES.values() for name in (rule.code, rule.slug)]
    raise click.BadParameter(
        f"{what} is neither an object, endpoints/NAME or endpointslice/NAME, nor a rule; "
        f"see `endpoints-guard rules`{did_you_mean(what, names)}",
        param_hint="WHAT",
    )


def _inventory(
    state_paths: tuple[str, ...], kubeconfig: str | None, context: str | None
) -> Inventory:
    if not state_paths:
        return read_everything(connect(kubeconfig, context, connections=1))
    inventory, unreadable = read_state(state_paths)
    if unreadable:
        raise UsageProblem("\n".join(map(str, unreadable)))
    return inventory
