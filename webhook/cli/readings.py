"""What the parts of a serving process say about themselves whenever Prometheus asks."""

import math
from collections.abc import Callable, Iterator
from time import monotonic

from certs.rotator import RotatorFacts
from certs.serving import ServingCertificate
from webhook.cluster.audit_watch import Numbers
from webhook.cluster.events import EventCounts
from webhook.cluster.informer import InformerStatus
from webhook.cluster.policies import PolicySource
from webhook.gateway import PortStatus
from webhook.telemetry import catalogue
from webhook.telemetry.scrape import Reading

Now = Callable[[], float]
"""Seconds since 1970."""


def of_informers(statuses: Callable[[], tuple[InformerStatus, ...]], now: Now) -> Iterator[Reading]:
    """How far each informer is."""
    for status in statuses():
        kind = (status.kind,)
        contact = 0.0 if math.isinf(status.age) else now() - status.age
        yield Reading(catalogue.SYNCED, status.synced, kind)
        yield Reading(catalogue.OBJECTS, status.objects, kind)
        yield Reading(catalogue.UNDECODABLE, status.undecodable, kind)
        yield Reading(catalogue.CONTACT, contact, kind)
        yield Reading(catalogue.LAG, status.lag, kind)
        yield Reading(catalogue.RELISTS, status.relists, kind)
        yield Reading(catalogue.FAILURES, status.failures, kind)


def of_port(status: Callable[[], PortStatus]) -> Iterator[Reading]:
    """How busy the webhook port is, and whom it has turned away."""
    found = status()
    yield Reading(catalogue.CONNECTIONS, found.connections)
    yield Reading(catalogue.IN_FLIGHT, found.in_flight)
    yield Reading(catalogue.QUEUED, found.queued)
    yield Reading(catalogue.REFUSED, found.refused)
    yield Reading(catalogue.DROPPED, found.slow, ("slow",))
    yield Reading(catalogue.DROPPED, found.room, ("room",))


def of_events(counts: Callable[[], EventCounts]) -> Iterator[Reading]:
    """What became of Kubernetes Events."""
    found = counts()
    yield Reading(catalogue.EVENTS, found.written, ("written",))
    yield Reading(catalogue.EVENTS, found.failed, ("failed",))
    yield Reading(catalogue.EVENTS, found.dropped, ("dropped",))


def of_certificate(certificate: ServingCertificate) -> Iterator[Reading]:
    """When it ends, and whether a newer one cannot be used."""
    facts = certificate.facts()
    ends = facts.certificate.not_after.timestamp() if facts.certificate is not None else 0.0
    yield Reading(catalogue.CERTIFICATE_EXPIRY, ends)
    yield Reading(catalogue.CERTIFICATE_STALE, bool(facts.last_error))


def of_rotation(facts: Callable[[], RotatorFacts]) -> Iterator[Reading]:
    """How certificates that rotate themselves are doing."""
    found = facts()
    ends = found.ca_not_after.timestamp() if found.ca_not_after is not None else 0.0
    yield Reading(catalogue.CA_EXPIRY, ends)
    yield Reading(catalogue.ROTATION_FAILURES, found.failures)


def of_policy(rules: PolicySource, now: Now) -> Iterator[Reading]:
    """How the policy file is doing."""
    rules.current()  # Without writes to judge nobody else would notice that the file has changed.
    facts = rules.facts()
    yield Reading(catalogue.POLICY_STALE, bool(facts.last_error))
    yield Reading(catalogue.POLICY_LOADS, facts.loads, ("success",))
    yield Reading(catalogue.POLICY_LOADS, facts.failures, ("failure",))
    yield Reading(catalogue.POLICY_LOADED, now() - rules.age())


def of_audit(numbers: Callable[[], Numbers], now: Now) -> Iterator[Reading]:
    """What an audit that goes on finds, and how it is going."""
    found = numbers()
    for (rule, action), count in found.findings.items():
        yield Reading(catalogue.AUDIT_FINDINGS, count, (rule, action))
    last = 0.0 if math.isinf(found.last_run) else now() - (monotonic() - found.last_run)
    yield Reading(catalogue.AUDIT_SUSPECTS, found.suspects)
    yield Reading(catalogue.AUDIT_JUDGED, found.objects_judged)
    yield Reading(catalogue.AUDIT_FULL_RUNS, found.full_runs)
    yield Reading(catalogue.AUDIT_LAST_RUN, last)
    yield Reading(catalogue.AUDIT_DURATION, found.seconds)
