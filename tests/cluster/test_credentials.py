"""Who we are to which cluster: where that is read, how it stays fresh, what is said if it fails."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from kubernetes.config import incluster_config, kube_config

from tests.cluster.samples import PODS, api_of, pod
from tests.fake_apiserver import FakeApiServer, Fault
from webhook.cluster.api import ClusterApi, connect
from webhook.cluster.errors import ClusterConfigError, ClusterUnavailable, Unauthorized
from webhook.cluster.paths import object_path

WEB = object_path(PODS, "team", "web")
NOWHERE = "http://127.0.0.1:9"


def kubeconfig(
    folder: Path, url: str, user: dict[str, Any], cluster: dict[str, Any] | None = None
) -> str:
    config = {
        "current-context": "main",
        "clusters": [{"name": "c", "cluster": {"server": url} if cluster is None else cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u"}},
            {"name": "other", "context": {"cluster": "c", "user": "u"}},
        ],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return str(file)


def plugin(folder: Path, script: str) -> dict[str, Any]:
    """A user whose credentials come from a program."""
    file = folder / "plugin"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(file), "interactiveMode": "Never"}}


def credential(token_command: str) -> str:
    answer = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", '
    return f"""printf '{answer}"status": {{"token": "%s"}}}}' "$({token_command})" """


class TestTokens:
    def test_from_a_kubeconfig_is_shown(self, server: FakeApiServer) -> None:
        server.token = "secret"
        assert api_of(server).get(WEB) is None

    def test_from_a_file_may_end_in_a_newline(self, server: FakeApiServer, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("secret\n")
        server.token = "secret"
        api = connect(kubeconfig=kubeconfig(tmp_path, server.url, {"tokenFile": "token"}))
        assert api.get(WEB) is None

    def test_from_a_file_is_read_again_when_the_server_refuses_the_old_one(
        self, server: FakeApiServer, tmp_path: Path
    ) -> None:
        token = tmp_path / "token"
        token.write_text("old")
        server.token = "old"
        api = connect(kubeconfig=kubeconfig(tmp_path, server.url, {"tokenFile": "token"}))
        api.get(WEB)

        token.write_text("new")
        server.token = "new"

        assert api.get(WEB) is None
        assert len(server.requests) == 3

    def test_that_stays_wrong_is_not_read_again_for_every_request(
        self, server: FakeApiServer
    ) -> None:
        api = api_of(server)
        server.token = "another"
        for _ in range(5):
            with pytest.raises(Unauthorized, match="HTTP 401"):
                api.get(WEB)
        assert len(server.requests) == 6

    def test_from_a_plugin_are_shown(self, server: FakeApiServer, tmp_path: Path) -> None:
        server.token = "from-plugin"
        user = plugin(tmp_path, credential("echo from-plugin"))
        assert connect(kubeconfig=kubeconfig(tmp_path, server.url, user)).get(WEB) is None

    def test_from_a_plugin_are_asked_for_again_when_they_were_revoked(
        self, server: FakeApiServer, tmp_path: Path
    ) -> None:
        token = tmp_path / "current"
        token.write_text("first")
        server.token = "first"
        user = plugin(tmp_path, credential(f"cat {token}"))
        api = connect(kubeconfig=kubeconfig(tmp_path, server.url, user))
        api.get(WEB)

        token.write_text("second")
        server.token = "second"

        assert api.get(WEB) is None

    def test_a_plugin_that_fails_later_is_no_crash(
        self, server: FakeApiServer, tmp_path: Path
    ) -> None:
        server.token = "first"
        user = plugin(tmp_path, credential("echo first"))
        api = connect(kubeconfig=kubeconfig(tmp_path, server.url, user))
        plugin(tmp_path, "echo the session is over >&2; exit 1")
        server.token = "second"
        with pytest.raises(Unauthorized, match="the session is over"):
            api.get(WEB)


class TestServiceAccount:
    @pytest.fixture
    def tls_server(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[FakeApiServer]:
        """The API server that this process, were it a Pod, has been told of."""
        ca = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        (tmp_path / "token").write_text("pod-token\n")
        ca.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
        with FakeApiServer(tls=context) as server:
            server.token = "pod-token"
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
            yield server

    def test_of_the_pod_is_used_when_nothing_is_named(self, tls_server: FakeApiServer) -> None:
        tls_server.state.put(PODS, pod("web"))
        api = connect()
        assert b'"web"' in (api.get(WEB) or b"")
        assert api.host == tls_server.url

    def test_is_never_shown_to_a_proxy(
        self, tls_server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
        assert connect().get(WEB) is None

    def test_is_read_again_when_the_server_refuses_the_old_one(
        self, tls_server: FakeApiServer, tmp_path: Path
    ) -> None:
        api = connect()
        api.get(WEB)
        (tmp_path / "token").write_text("rotated")
        tls_server.token = "rotated"
        assert api.get(WEB) is None

    def test_gives_way_to_a_kubeconfig_that_is_named(
        self, tls_server: FakeApiServer, server: FakeApiServer
    ) -> None:
        assert connect(kubeconfig=server.kubeconfig).host == server.url


class TestProxies:
    def test_are_not_used_for_loopback(
        self, server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", NOWHERE)
        assert api_of(server).get(WEB) is None

    def test_are_used_for_a_cluster_out_there(
        self, server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        file = kubeconfig(tmp_path, "http://cluster.example", {})
        assert connect(kubeconfig=file).get(WEB) is None
        assert len(server.requests) == 1


class TestCompression:
    def test_is_asked_for_from_outside_the_cluster(self, server: FakeApiServer) -> None:
        server.state.put(PODS, pod("web"))
        assert b"web" in (api_of(server).get(WEB) or b"")
        assert server.requests[0].headers["Accept-Encoding"] == "gzip"

    def test_of_something_that_is_not_compressed_is_an_error(self, server: FakeApiServer) -> None:
        server.inject(Fault(verb="get", headers={"Content-Encoding": "gzip"}))
        api = ClusterApi(api_of(server)._new_client)
        with pytest.raises(ClusterUnavailable, match="gzip"):
            api.get("/api/v1/namespaces/team/pods/missing")


class TestProblems:
    """Each is one line that names the file, and what to do."""

    def problem(self, file: str, context: str | None = None) -> str:
        with pytest.raises(ClusterConfigError) as caught:
            connect(kubeconfig=file, context=context)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"kubeconfig {file}")
        assert f"kubectl --kubeconfig {file}" in message
        return message

    def test_the_file_is_missing(self, tmp_path: Path) -> None:
        assert "there is no such file" in self.problem(str(tmp_path / "none"))

    @pytest.mark.parametrize(
        "text",
        ["", "a: [", "[]", "text", "{}", "clusters: 5", "\t", "users: [{}]"],
    )
    def test_the_file_is_no_kubeconfig(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "kubeconfig"
        file.write_text(text)
        self.problem(str(file))

    def test_the_file_is_not_even_text(self, tmp_path: Path) -> None:
        file = tmp_path / "kubeconfig"
        file.write_bytes(b"\xff\xfe\x00")
        self.problem(str(file))

    def test_the_context_is_unknown(self, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path, NOWHERE, {})
        message = self.problem(file, "production")
        assert "context production: " in message
        assert "--context production version" in message

    def test_the_cluster_has_no_server(self, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path, "", {}, cluster={"insecure-skip-tls-verify": False})
        assert "the cluster has no server" in self.problem(file)

    def test_the_ca_is_not_base64(self, tmp_path: Path) -> None:
        cluster = {"server": "https://127.0.0.1:9", "certificate-authority-data": "abc"}
        self.problem(kubeconfig(tmp_path, "", {}, cluster=cluster))

    def test_the_client_certificate_is_missing(self, tmp_path: Path) -> None:
        user = {"client-certificate": "none.crt", "client-key": "none.key"}
        message = self.problem(kubeconfig(tmp_path, "https://127.0.0.1:9", user))
        assert "none.crt" in message

    def test_the_plugin_fails(self, tmp_path: Path) -> None:
        user = plugin(tmp_path, "echo log in first >&2; exit 3")
        message = self.problem(kubeconfig(tmp_path, NOWHERE, user))
        assert "exec: process returned 3. log in first" in message

    def test_the_plugin_is_not_installed(self, tmp_path: Path) -> None:
        user = plugin(tmp_path, "exit 0")
        user["exec"]["command"] = "no-such-plugin"
        assert "no-such-plugin" in self.problem(kubeconfig(tmp_path, NOWHERE, user))

    def test_nothing_is_named_and_this_is_no_pod(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        none = str(tmp_path / "config")
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", none)
        with pytest.raises(ClusterConfigError) as caught:
            connect()
        assert f"kubeconfig {none}: there is no such file" in str(caught.value)
        assert "Nor is this a Pod: Service host/port is not set" in str(caught.value)


def test_another_context_can_be_chosen(server: FakeApiServer, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, server.url, {})
    assert connect(kubeconfig=file, context="other").get(WEB) is None


def test_the_kubeconfig_is_never_written_to_even_with_a_token_that_was_refreshed(
    server: FakeApiServer, tmp_path: Path
) -> None:
    answer = '{"credential": {"access_token": "t", "token_expiry": "2199-01-01T00:00:00Z"}}'
    program = plugin(tmp_path, f"echo '{answer}'")["exec"]["command"]
    user = {"auth-provider": {"name": "gcp", "config": {"cmd-path": program}}}
    file = kubeconfig(tmp_path, server.url, user)
    before = Path(file).read_bytes()
    server.token = "t"

    assert connect(kubeconfig=file).get(WEB) is None
    assert Path(file).read_bytes() == before
