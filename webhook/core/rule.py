"""What a rule is, what it may look at, and what it may say.

A rule is a file in `webhook/core/rules`: prose (its docstring), one function, and examples. The
function looks at one case, which is the object, one of its ports or one of its addresses, and
returns a `Violation` or None. It sees nothing else, least of all other rules.
"""

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from webhook.core.objects import ListedAddress


class Action(StrEnum):
    """What happens when a rule is broken, in the words of ValidatingAdmissionPolicy."""

    DENY = "deny"
    WARN = "warn"
    AUDIT = "audit"
    OFF = "off"

    @property
    def severity(self) -> int:
        """Orders actions: deny is the highest."""
        return _SEVERITY[self]


_LONGEST_TEXT: Final = 4096
"""Of a message; names of objects have 253 characters at the most."""
_SEVERITY: Final = {Action.OFF: 0, Action.AUDIT: 1, Action.WARN: 2, Action.DENY: 3}


class Ownership(StrEnum):
    """Who is to write the endpoints."""

    SELECTOR = "selector"
    """The Service selects Pods, so the control plane writes them and they must agree with it."""
    MANUAL = "manual"
    """No selector, or no Service at all: whoever may write them decides, within the address
    rules.
    """


class Violation(Struct, frozen=True, gc=False):
    """What is wrong, and where.

    Everything in it may reach the writer, so it never names a Pod, Node or namespace that is not
    the writer's own; `private` may, and goes to the log and the audit only.
    """

    field: str
    message: str
    """One sentence, without the rule's name."""
    detail: str = ""
    """Facts for whoever has to mend it."""
    private: str = ""
    mild: bool = False
    """Nobody else is harmed: a denial becomes a warning."""
    listed: tuple[ListedAddress, ...] = ()
    """At a port: the addresses for which it is wrong; empty when it is for all of them."""
    malformed: bool = False
    """The value itself is ambiguous or malformed (code 422), not merely forbidden (403)."""
    command: str = ""
    """What mends it, for a shell; every name in it is quoted."""
    subject: str = ""
    """What it is about, wherever that stands in its object: what tells it from others of the same
    rule in a baseline. Empty where the address, the port or the field says it already.
    """

    def shortened(self) -> "Violation":
        """The same, in no more words than anybody reads.

        A targetRef may hold megabytes, and each of a hundred addresses repeats them.
        """
        message, detail, private = self.message, self.detail, self.private
        if len(message) + len(detail) + len(private) <= _LONGEST_TEXT:
            return self
        cut = slice(_LONGEST_TEXT)
        return structs.replace(self, message=message[cut], detail=detail[cut], private=private[cut])


class Facet(StrEnum):
    """A field beyond address, port and targetRef on which a rule's verdict depends.

    A violation counts as old only if this field was the same before, too.
    """

    NODE_NAME = "nodeName"
    HOSTNAME = "hostname"
    READY = "ready"
    SPELLING = "spelling"
    """The text of the address, where it is not the address that matters but how it is written."""


class Example(Struct, frozen=True, kw_only=True):
    """A write and what all rules together say of it: documentation, unit test and e2e case at
    once.
    """

    name: str
    write: str
    """YAML of one Endpoints or EndpointSlice; the one before it, if any, is the old object."""
    state: str = ""
    """YAML of what the cluster holds beyond the WordPress example."""
    policy: str = ""
    """YAML of a policy file, where the default policy says nothing of it."""
    findings: tuple[str, ...] = ()
    """Each as `CODE path`; empty when every rule is content. For a `stored_only` rule: what the
    audit finds in each object of `write`, which then may be of any kind and is stored.
    """


ENDPOINT_KINDS: Final = ("Service", "Pod", "Node", "Endpoints", "EndpointSlice")
"""Everything that a verdict about endpoints may rest on."""


class Rule(Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    code: str
    slug: str
    title: str
    rationale: str
    """Markdown: what the rule protects, and when it is legitimate to turn it off."""
    remedy: str
    """One sentence for the writer: the way out."""
    default: Mapping[Ownership, Action]
    """Default action for each kind of ownership to which the rule applies."""
    checks: tuple[Callable[..., Violation | None], ...]
    """Each takes a `case`, and the class that it is annotated with says what it is asked about."""
    examples: tuple[Example, ...]
    rests_on: tuple[str, ...] = ENDPOINT_KINDS
    """The kinds without which it would say too much or too little. An audit that cannot read one
    of them leaves the rule out.
    """
    presumes: tuple[str, ...] | None = None
    """Those of which it takes to be gone what is not there: without them it would say too much.
    None means all that it rests on.
    """
    by_absence: bool = False
    """It may say that no Pod of the namespace holds an address, which is certain only to whoever
    has looked at all of them.
    """
    facet: Facet | None = None
    spares_published: bool = False
    """It finds nothing wrong with an address that the control plane would write just so (see
    `as_published`), whatever the policy says, and is not asked about it.
    """
    stored_only: bool = False
    """It judges what is stored, in an audit, and never a write."""

    def can_do_without(self, kinds: Collection[str]) -> bool:
        """Whether it still says what is right where nothing is known of these kinds."""
        return set(self.rests_on).isdisjoint(kinds)

    def may_overstate(self, kinds: Collection[str]) -> bool:
        """Whether what it finds may only be found because nothing is known of these kinds."""
        presumed = self.rests_on if self.presumes is None else self.presumes
        return not set(presumed).isdisjoint(kinds)


def both(action: Action) -> Mapping[Ownership, Action]:
    """The same default, selector or not."""
    return {Ownership.SELECTOR: action, Ownership.MANUAL: action}
