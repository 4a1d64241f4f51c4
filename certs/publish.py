"""Keeps the rotation's state in a Secret, and its CAs in the `caBundle` of webhook configurations.

Several replicas do this at once, so every write is conditional on what it was decided upon: the
Secret and each configuration are written only at the resourceVersion that was read, and the
configurations are read before the Secret. A replica that paused can therefore never take back a
`caBundle` that another has published meanwhile: it gets `Conflict`, reads again and plans again.

Written are the keys of the Secret named here, and the field `caBundle` of every webhook. All other
keys and fields belong to whoever installed the objects.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from certs.api import Api, ApiRefusal, WebhookConfiguration
from certs.pki import KeyPair
from certs.rotation import CertBundle

LOG = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")
_PREVIOUS = "previous-ca.crt"


class Conflict(Exception):
    """Somebody else wrote first: read again, and plan again."""


class PublishProblem(Exception):
    """The API server does not let us; the text names object, verb and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretState:
    """What the Secret holds, and at which version. An empty version: there is no Secret."""

    bundle: CertBundle
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configurations:
    """The webhook configurations that could be read, and what was wrong with the others."""

    found: tuple[WebhookConfiguration, ...]
    problems: tuple[str, ...]


class Publisher:
    """Reads and writes one Secret and the ValidatingWebhookConfigurations named."""

    def __init__(
        self, api: Api, *, namespace: str, secret: str, configurations: tuple[str, ...]
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._secret = secret
        self._names = configurations

    @property
    def origin(self) -> str:
        """What to call the Secret in messages."""
        return f"Secret {self._namespace}/{self._secret}"

    def server_time(self) -> datetime | None:
        """The API server's clock in its newest answer, if it said."""
        return self._api.server_time()

    def read_configurations(self) -> Configurations:
        """All that are named. Faults are values: one configuration must not stop the others."""
        found, problems = [], []
        for name in self._names:
            try:
                found.append(self._read_configuration(name))
            except PublishProblem as problem:
                problems.append(str(problem))
        return Configurations(found=tuple(found), problems=tuple(problems))

    def read_secret(self) -> SecretState:
        """Raises PublishProblem."""
        stored = self._ask_secret(
            "get", lambda: self._api.get_secret(self._namespace, self._secret)
        )
        if stored is None:
            return SecretState(bundle=CertBundle(), resource_version="")
        return SecretState(
            bundle=bundle_from(stored.data), resource_version=stored.resource_version
        )

    def store(self, bundle: CertBundle, upon: SecretState) -> None:
        """Write the Secret if it is still as `upon` says. Raises Conflict, PublishProblem."""
        data = data_of(bundle)
        if upon.resource_version:
            self._ask_secret(
                "patch",
                lambda: self._api.patch_secret(
                    self._namespace, self._secret, upon.resource_version, data
                ),
            )
        else:
            present = {key: value for key, value in data.items() if value is not None}
            self._ask_secret(
                "create", lambda: self._api.create_secret(self._namespace, self._secret, present)
            )

    def publish(self, ca_bundle: bytes, upon: Configurations) -> tuple[str, ...]:
        """Write `ca_bundle` into every webhook that has another; the problems met.

        Every configuration is tried. Raises Conflict when one was changed since it was read.
        """
        problems, conflict = [], None
        for configuration in upon.found:
            try:
                self._publish(ca_bundle, configuration)
            except PublishProblem as problem:
                problems.append(str(problem))
            except Conflict as found:
                conflict = found
        if conflict:
            raise conflict
        return tuple(problems)

    def _publish(self, ca_bundle: bytes, configuration: WebhookConfiguration) -> None:
        stale = [name for name, pem in configuration.ca_bundles.items() if pem != ca_bundle]
        if not stale:
            return
        name, version = configuration.name, configuration.resource_version
        bundles = dict.fromkeys(stale, ca_bundle)
        self._ask_configuration(
            name, "patch", lambda: self._api.patch_ca_bundles(name, version, bundles)
        )
        LOG.info("caBundle published in %s: %s", _title(name), ", ".join(stale))

    def _read_configuration(self, name: str) -> WebhookConfiguration:
        found = self._ask_configuration(name, "get", lambda: self._api.get_configuration(name))
        if found is None:
            raise PublishProblem(f"{_title(name)} does not exist; create it, or correct the name")
        return found

    def _ask_secret(self, verb: str, request: Callable[[], _Answer]) -> _Answer:
        remedy = f"allow in a Role of namespace {self._namespace}: "
        if verb == "create":  # RBAC cannot allow this by name
            remedy = f"create an empty Secret beforehand, or {remedy}"
            remedy += '{apiGroups: [""], resources: [secrets], verbs: [create]}'
        else:
            remedy += _rule("", "secrets", self._secret)
        return _ask(f"{verb} {self.origin}", remedy, request)

    def _ask_configuration(self, name: str, verb: str, request: Callable[[], _Answer]) -> _Answer:
        rule = _rule("admissionregistration.k8s.io", "validatingwebhookconfigurations", name)
        return _ask(f"{verb} {_title(name)}", f"allow in a ClusterRole: {rule}", request)


def bundle_from(data: Mapping[str, bytes]) -> CertBundle:
    """The bundle that these keys of a Secret hold. A pair of which one half is missing is none."""
    return CertBundle(
        current=_pair(data, "ca"),
        next=_pair(data, "next-ca"),
        previous=data.get(_PREVIOUS, b""),
        serving=_pair(data, "tls"),
    )


def data_of(bundle: CertBundle) -> dict[str, bytes | None]:
    """The keys of a Secret that hold `bundle`; None for one that must not be there."""
    data: dict[str, bytes | None] = {_PREVIOUS: bundle.previous or None}
    for key, pair in (("ca", bundle.current), ("next-ca", bundle.next), ("tls", bundle.serving)):
        data[f"{key}.crt"] = pair.certificate if pair else None
        data[f"{key}.key"] = pair.key if pair else None
    return data


def _pair(data: Mapping[str, bytes], key: str) -> KeyPair | None:
    certificate, private_key = data.get(f"{key}.crt"), data.get(f"{key}.key")
    return (
        KeyPair(certificate=certificate, key=private_key) if certificate and private_key else None
    )


def _title(configuration: str) -> str:
    return f"ValidatingWebhookConfiguration {configuration}"


def _rule(group: str, resource: str, name: str) -> str:
    return (
        f'{{apiGroups: ["{group}"], resources: [{resource}], resourceNames: [{name}], '
        "verbs: [get, patch]}"
    )


def _ask(what: str, remedy: str, request: Callable[[], _Answer]) -> _Answer:
    try:
        return request()
    except ApiRefusal as refusal:
        deleted = refusal.status == 404 and what.startswith("patch")
        if refusal.status == 409 or deleted:
            raise Conflict(f"{what}: {refusal}") from refusal
        if refusal.status == 403:
            raise PublishProblem(f"may not {what}: {remedy} ({refusal})") from refusal
        raise PublishProblem(f"cannot {what}: {refusal}") from refusal
