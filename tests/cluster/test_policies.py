"""The policy file as a file: how reading one may end. What a policy says is in tests/policy."""

import threading
from pathlib import Path

import pytest

from tests.fake_apiserver import wait_until
from webhook.cluster import policies
from webhook.cluster.config_files import BadFile
from webhook.cluster.policies import PolicySource, read_policy
from webhook.core.policy import Policy
from webhook.core.rule import Action

PLACES = {
    "no such file": (None, "No such file or directory"),
    "not UTF-8": (b"# \xe9", "it is not UTF-8 text"),
    "not YAML": (b"a: b: c\n", "not YAML or JSON: line 1: "),
    "two documents": (b"{}\n---\n{}", "another document"),
    "not a map": (b"[]", "line 1: a policy is a map"),
    "a wrong key": (b"# x\nrules: {EG999: deny}\n", "line 2: rules.EG999: there is no such rule"),
}


@pytest.mark.parametrize(("content", "reason"), PLACES.values(), ids=PLACES)
def test_a_file_that_is_no_policy_is_named(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadFile) as raised:
        read_policy(file)
    assert str(raised.value).startswith(f"policy {file}")
    assert reason in str(raised.value)


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="Is a directory"):
        read_policy(tmp_path)


@pytest.mark.parametrize("content", ["", "---\n", "# nothing\n", "{}"])
def test_a_file_that_says_nothing_is_the_default_policy(content: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(content)
    assert read_policy(file) == Policy()


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes("\ufeffrules:\r\n  EG501: warn\r\n".encode())
    assert read_policy(file).file.rules == {"EG501": Action.WARN}


def test_many_threads_see_one_policy_or_the_next_and_never_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "LOOK_SECONDS", 0.0)
    file = tmp_path / "policy.yaml"
    file.write_text("rules: {EG501: off}")
    source = PolicySource(file, lambda: "2026-11-23")
    seen: set[Action] = set()
    errors: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                seen.add(source.current().file.rules["EG501"])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for action in ("warn", "audit", "deny"):
        scratch = tmp_path / "new"
        scratch.write_text(f"rules: {{EG501: {action}}}")
        scratch.replace(file)
        expected = {Action(action)}
        wait_until(lambda: expected <= seen or bool(errors))  # noqa: B023 - called at once
    stop.set()
    for thread in threads:
        thread.join(10)

    assert errors == []
    assert source.current().file.rules == {"EG501": Action.DENY}
