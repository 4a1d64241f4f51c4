"""The policy file in a running process: what changes takes effect, what breaks does not."""

import logging
import os
import threading
from pathlib import Path

import pytest

from webhook.cluster import policies
from webhook.cluster.config_files import BadFile
from webhook.cluster.policies import PolicyFacts, PolicySource
from webhook.core.policy import Policy
from webhook.core.rule import Action

OFF = "rules: {EG501: off}\n"
WARN = "rules: {EG501: warn}\n"
BROKEN = "rules:\n  EG501: {\n"
UNTIL = "exemptions: [{reason: r, users: [alice], expires: 2027-01-31}]\n"


class Today:
    """A date that a test sets."""

    def __init__(self, date: str = "2026-11-23") -> None:
        self.date = date

    def __call__(self) -> str:
        return self.date


@pytest.fixture(autouse=True)
def _looks_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "LOOK_SECONDS", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(OFF)
    return path


def rewrite(path: Path, text: str) -> None:
    """As editors and deployments do it: a new file in the place of the old one."""
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)


def action(source: PolicySource) -> Action:
    return source.current().file.rules["EG501"]


def test_a_changed_file_takes_effect(file: Path) -> None:
    source = PolicySource(file, Today())
    assert action(source) is Action.OFF
    rewrite(file, WARN)
    assert action(source) is Action.WARN
    assert source.facts() == PolicyFacts(source=str(file), loads=2)


def test_a_file_that_is_changed_in_place_takes_effect(file: Path) -> None:
    source = PolicySource(file, Today())
    file.write_text(WARN + "# a longer file\n")
    assert action(source) is Action.WARN


def test_a_file_that_does_not_change_is_not_read_again(file: Path) -> None:
    source = PolicySource(file, Today())
    first = source.current()
    assert source.current() is first
    assert source.facts().loads == 1


def test_a_file_is_not_looked_at_for_every_request(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "LOOK_SECONDS", 3600.0)
    source = PolicySource(file, Today())
    rewrite(file, WARN)
    assert action(source) is Action.OFF


def test_a_broken_file_keeps_the_last_good_policy(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = PolicySource(file, Today())
    rewrite(file, BROKEN)
    assert action(source) is Action.OFF
    assert action(source) is Action.OFF
    facts = source.facts()
    assert (facts.loads, facts.failures) == (1, 1)
    assert facts.last_error.startswith(f"policy {file}: not YAML or JSON: line ")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [error.getMessage() for error in errors] == [
        f"{facts.last_error}; the last good policy stays in force"
    ]


def test_a_file_that_is_mended_takes_effect(file: Path) -> None:
    source = PolicySource(file, Today())
    rewrite(file, BROKEN)
    source.current()
    rewrite(file, WARN)
    assert action(source) is Action.WARN
    assert source.facts() == PolicyFacts(source=str(file), loads=2, failures=1)


def test_a_file_that_says_something_wrong_keeps_the_last_good_policy(file: Path) -> None:
    source = PolicySource(file, Today())
    rewrite(file, "rules: {EG999: deny}")
    assert action(source) is Action.OFF
    assert "line 1: rules.EG999: there is no such rule" in source.facts().last_error


def test_a_file_that_is_removed_keeps_the_last_good_policy(file: Path) -> None:
    source = PolicySource(file, Today())
    file.unlink()
    assert action(source) is Action.OFF
    assert "No such file" in source.facts().last_error
    file.write_text(WARN)
    assert action(source) is Action.WARN
    assert source.facts().last_error == ""


def test_a_config_map_is_followed(tmp_path: Path) -> None:
    """The kubelet swaps one symbolic link, behind the one that the path leads through."""

    def publish(version: str, text: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "policy.yaml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(version)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    publish("..1", OFF)
    path = tmp_path / "policy.yaml"
    path.symlink_to("..data/policy.yaml")
    source = PolicySource(path, Today())

    publish("..2", WARN)

    assert action(source) is Action.WARN


def test_a_swap_is_seen_even_if_size_and_time_are_the_same(file: Path) -> None:
    """Files of an image, or of a reproducible build, often have one time."""
    source = PolicySource(file, Today())
    stat = file.stat()
    scratch = file.with_suffix(".new")
    scratch.write_text(OFF.replace("EG501", "EG502"))
    os.utime(scratch, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    scratch.replace(file)
    assert list(source.current().file.rules) == ["EG502"]


def test_a_policy_that_is_broken_from_the_start_is_an_error(file: Path) -> None:
    file.write_text(BROKEN)
    with pytest.raises(BadFile):
        PolicySource(file, Today())


def test_without_a_file_it_is_the_default_policy() -> None:
    today = Today()
    source = PolicySource(None, today)
    assert source.current() == Policy()
    today.date = "2026-11-24"
    assert source.current() == Policy()
    assert source.facts() == PolicyFacts(source="the default policy", loads=1)


# --- Expiry, while the file stays as it is


def exemptions(source: PolicySource) -> int:
    return len(source.current().exemptions)


def test_an_exemption_ends_at_midnight_without_a_change_of_the_file(file: Path) -> None:
    file.write_text(UNTIL)
    today = Today("2027-01-30")
    source = PolicySource(file, today)
    counted = []
    for today.date in ("2027-01-30", "2027-01-31", "2027-02-01", "2027-02-02"):
        counted.append(exemptions(source))
    assert counted == [1, 1, 0, 0]
    assert source.facts().loads == 1


def test_what_has_expired_at_the_start_never_counts(file: Path) -> None:
    file.write_text(UNTIL)
    assert exemptions(PolicySource(file, Today("2027-02-01"))) == 0


def test_what_has_expired_does_not_come_back_with_a_change_of_the_file(file: Path) -> None:
    file.write_text(UNTIL)
    source = PolicySource(file, Today("2027-02-01"))
    rewrite(file, UNTIL + WARN)
    assert exemptions(source) == 0
    assert action(source) is Action.WARN


def test_an_exemption_ends_even_if_the_file_is_broken_by_then(file: Path) -> None:
    file.write_text(UNTIL)
    today = Today("2027-01-31")
    source = PolicySource(file, today)
    rewrite(file, BROKEN)
    assert exemptions(source) == 1
    today.date = "2027-02-01"
    assert exemptions(source) == 0


def test_an_exemption_ends_even_if_the_file_breaks_in_the_same_moment(file: Path) -> None:
    """A quiet night: the next look finds a new day and a broken file."""
    file.write_text(UNTIL)
    today = Today("2027-01-31")
    source = PolicySource(file, today)
    rewrite(file, BROKEN)
    today.date = "2027-02-01"
    assert exemptions(source) == 0


# --- Threads


def test_nobody_waits_while_a_file_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PolicySource(file, Today())
    reading, go_on = threading.Event(), threading.Event()

    def read_slowly(path: Path) -> Policy:
        reading.set()
        assert go_on.wait(10)
        return Policy()

    monkeypatch.setattr(policies, "read_policy", read_slowly)
    rewrite(file, WARN)
    reader = threading.Thread(target=source.current)
    reader.start()
    try:
        assert reading.wait(10)
        assert action(source) is Action.OFF
    finally:
        go_on.set()
        reader.join(10)
    assert source.current() == Policy()
