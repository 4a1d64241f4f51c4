"""The scene of the tables in a real cluster, and everybody who acts in it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.coverage.table import Attempt
from tests.e2e.api import Answer, Api, Json, identity
from tests.e2e.cluster import eventually
from tests.e2e.controlplane import ControlPlane
from tests.e2e.webhook_process import TENANTS, writer
from webhook.core.profiles import PROFILES

_PUBLISHED = ("Endpoints", "EndpointSlice")


def operator(profile: str) -> str:
    """Who has a profile here: some real accounts are too long for a certificate's common name."""
    return f"operator-{profile}" if profile else ""


PROFILES_POLICY = "profiles:\n" + "".join(
    f"- {{name: {name}, users: [{operator(name)}]}}\n" for name in PROFILES
)


@dataclass(kw_only=True)
class Scene:
    """The scene of the tables in this cluster, and who acts in it."""

    plane: ControlPlane
    admin: Api
    trusted: Api
    """Writes endpoints unjudged: what is there before an attempt."""
    uids: dict[str, str] = field(default_factory=dict)
    """What the API server made of the uids in the tables."""
    users: dict[tuple[str, ...], Api] = field(default_factory=dict)

    def user(self, name: str, *groups: str) -> Api:
        """Somebody without trust who may write endpoints."""
        if (name, *groups) not in self.users:
            writer(self.plane, self.admin, name)
            kubeconfig = self.plane.kubeconfig_for(name, (TENANTS, *groups))
            self.users[name, *groups] = Api(kubeconfig)
        return self.users[name, *groups]

    def real(self, value: Any) -> Any:
        """A manifest of a table with the uids of this cluster."""
        if isinstance(value, dict):
            return {key: self.real(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self.real(entry) for entry in value]
        return self.uids.get(value, value) if isinstance(value, str) else value

    @contextmanager
    def held(self, manifest: Json) -> Iterator[None]:
        """Keep an object in the cluster."""
        if manifest["kind"] == "Namespace":
            with self._labelled(manifest):
                yield
            return
        created = self._put(manifest)
        try:
            yield
        finally:
            self.trusted.delete(*identity(created))

    def _put(self, manifest: Json) -> Json:
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "uid"}
        given = self.real({**manifest, "metadata": metadata})
        # The service account of a new namespace comes a moment after it.
        created: Json = eventually(lambda: _created(self.trusted.create(given)))
        if "status" in given:
            where = identity(given)
            self.admin.patch(*where, {"status": given["status"]}, subresource="status").must()
        if "uid" in manifest["metadata"]:
            self.uids[manifest["metadata"]["uid"]] = created["metadata"]["uid"]
        return created

    @contextmanager
    def _labelled(self, namespace: Json) -> Iterator[None]:
        name, labels = namespace["metadata"]["name"], namespace["metadata"]["labels"]
        self.admin.patch("Namespace", "", name, {"metadata": {"labels": labels}}).must()
        try:
            yield
        finally:
            gone = dict.fromkeys(labels)
            self.admin.patch("Namespace", "", name, {"metadata": {"labels": gone}}).must()

    def write(self, attempt: Attempt, *, dry_run: bool = False) -> Answer:
        """Do what an attempt does, as whoever does it."""
        api = self.user(operator(attempt.profile) or attempt.user, *attempt.groups)
        if attempt.write is None:
            return api.delete(*identity(attempt.subject))
        send = api.replace if attempt.old else api.create
        return send(self.real(attempt.write), dry_run=dry_run)

    @contextmanager
    def set_up(self, attempt: Attempt) -> Iterator[None]:
        """What an attempt starts from."""
        with ExitStack() as stack:
            for manifest in attempt.state:
                stack.enter_context(self.held(manifest))
            if attempt.old and not attempt.refused_by_api_server:
                stack.enter_context(self.held(attempt.old))
            yield

    def remove(self, answer: Answer) -> None:
        """Take an object that was written away again."""
        if answer.body.get("kind") in _PUBLISHED:
            self.trusted.delete(*identity(answer.body))

    def close(self) -> None:
        """Everybody leaves."""
        for api in (self.trusted, *self.users.values()):
            api.close()


def _created(answer: Answer) -> Json | None:
    if answer.status == 403 and "service account" in answer.message:
        return None
    return answer.must()
