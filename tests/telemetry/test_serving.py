"""The metrics of a real process, over its real port: of every part that it is made of."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from certs.pki import issue_ca, issue_serving
from tests.builders import pod, service
from tests.fake_apiserver import FakeApiServer, wait_until
from webhook.telemetry.catalogue import AUDIT_METRICS, CA_EXPIRY, METRICS, ROTATION_FAILURES

OF_OTHERS = {CA_EXPIRY, ROTATION_FAILURES, *AUDIT_METRICS}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    now = datetime.now(UTC)
    pair = issue_serving(
        issue_ca("ca", now, timedelta(days=9)), ("localhost",), now, timedelta(days=3)
    )
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    (tmp_path / "policy.yaml").write_text("rules: {EG501: warn}\n")
    return tmp_path


class Served:
    """The metrics port of a running `serve`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def text(self) -> str:
        with urlopen(self._url, timeout=30) as response:
            return str(response.read().decode())

    def samples(self) -> Samples:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, tuple(sorted(labels.items()))]


@contextmanager
def serving(files: Path, api: FakeApiServer) -> Iterator[Served]:
    """`endpoints-guard serve --events`, until the block ends."""
    flags = (
        *("--tls-cert", "tls.crt", "--tls-key", "tls.key", "--policy", "policy.yaml", "--events"),
        *("--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--log-format", "json"),
        *("--kubeconfig", api.kubeconfig, "--drain-seconds", "0"),
    )
    log = files / "log"
    with log.open("w") as stream:
        command = (sys.executable, "-m", "webhook", "serve", *flags)
        process = subprocess.Popen(command, cwd=files, stderr=stream)
    try:
        wait_until(lambda: "health_listen" in log.read_text(), 60)
        (line,) = (line for line in log.read_text().splitlines() if "health_listen" in line)
        yield Served(f"http://{json.loads(line)['health_listen']}/metrics")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_every_part_of_the_process_says_how_it_is(files: Path) -> None:
    with FakeApiServer() as api:
        api.state.put("/api/v1/services", service())
        api.state.put("/api/v1/pods", pod())
        with serving(files, api) as served:
            informer = "endpoints_guard_informer_"
            wait_until(lambda: f'{informer}synced{{kind="Pod"}} 1.0' in served.text(), 30)
            types = set(re.findall(r"^# TYPE (endpoints_guard_\S+)", served.text(), re.MULTILINE))
            assert types == {metric.name for metric in METRICS if metric not in OF_OTHERS}
            assert served.value(f"{informer}objects", kind="Pod") == 1
            now = datetime.now(UTC).timestamp()
            contact = served.value(f"{informer}last_contact_timestamp_seconds", kind="Pod")
            assert now - 60 < contact < now + 60
            expiry = served.value("endpoints_guard_certificate_expiry_timestamp_seconds")
            assert 2 * 86400 < expiry - now < 4 * 86400
            assert served.value("endpoints_guard_connections") == 0


def test_an_outage_shows_as_lag_that_grows_until_it_is_over(files: Path) -> None:
    lag = "endpoints_guard_informer_lag_seconds"
    with FakeApiServer() as api, serving(files, api) as served:
        wait_until(lambda: f'{lag}{{kind="Node"}} 0.0' in served.text(), 30)
        api.stop()
        wait_until(lambda: served.value(lag, kind="Node") > 0.2, 30)
        before = served.value(lag, kind="Node")
        assert served.value("endpoints_guard_informer_failures_total", kind="Node") > 0
        wait_until(lambda: served.value(lag, kind="Node") > before, 30)
        api.start()
        wait_until(lambda: served.value(lag, kind="Node") == 0, 60)


def test_a_broken_policy_is_noticed_without_a_write(files: Path) -> None:
    with FakeApiServer() as api, serving(files, api) as served:
        loaded = served.value("endpoints_guard_policy_last_success_timestamp_seconds")
        assert abs(datetime.now(UTC).timestamp() - loaded) < 120
        (files / "policy.yaml").write_text("rules: {EG501: nonsense}\n")
        wait_until(lambda: served.value("endpoints_guard_policy_stale") == 1, 30)
        assert served.value("endpoints_guard_policy_loads_total", result="failure") == 1
        (files / "policy.yaml").write_text("rules: {EG501: audit}\n")
        wait_until(lambda: served.value("endpoints_guard_policy_stale") == 0, 30)
        assert served.value("endpoints_guard_policy_loads_total", result="success") == 2
