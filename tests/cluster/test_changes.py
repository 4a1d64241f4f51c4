"""What informers change, remembered until somebody looks."""

import threading
from collections.abc import Iterator

import pytest

from tests.builders import Json, pod, service, value_of
from webhook.cluster.changes import Changes
from webhook.core.objects import Pod

WEB, MOVED = pod(), pod(ip="10.0.0.99")


def of(manifest: Json) -> Pod:
    value = value_of(manifest)
    assert isinstance(value, Pod)
    return value


@pytest.fixture
def changes() -> Changes:
    made = Changes()
    made.replace("Pod", [of(WEB)])
    made.take()
    return made


KEY = ("Pod", of(WEB).key)


def test_an_object_that_comes_was_nothing_before() -> None:
    changes = Changes()
    changes.apply("Pod", of(WEB))
    assert changes.take() == {KEY: (None, of(WEB))}
    assert changes.inventory.pod(*of(WEB).key) == of(WEB)


def test_what_is_taken_is_forgotten(changes: Changes) -> None:
    assert changes.take() == {}


def test_a_change_is_remembered_from_the_first_version_to_the_last(changes: Changes) -> None:
    changes.apply("Pod", of(MOVED))
    changes.remove("Pod", *of(WEB).key)
    changes.apply("Pod", of(pod(ip="10.0.0.77")))
    assert changes.take() == {KEY: (of(WEB), of(pod(ip="10.0.0.77")))}


def test_the_same_again_is_no_change(changes: Changes) -> None:
    changes.apply("Pod", of(WEB))
    changes.replace("Pod", [of(WEB)])
    changes.remove("Pod", "shop", "unknown")
    assert changes.take() == {}


def test_a_list_takes_out_what_is_not_in_it(changes: Changes) -> None:
    changes.apply("Service", value_of(service()))
    changes.take()
    changes.replace("Pod", [])
    assert changes.take() == {KEY: (of(WEB), None)}
    assert changes.inventory.keys("Service") == (("shop", "web"),)


def test_a_list_that_breaks_off_takes_out_nothing(changes: Changes) -> None:
    def broken() -> Iterator[object]:
        yield of(pod("other", ip="10.0.0.5"))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        changes.replace("Pod", broken())
    assert set(changes.inventory.keys("Pod")) == {("shop", "web-1"), ("shop", "other")}


def test_nothing_changes_while_somebody_judges(changes: Changes) -> None:
    writer = threading.Thread(target=changes.apply, args=("Pod", of(MOVED)))
    with changes.still() as inventory:
        writer.start()
        writer.join(0.2)
        assert inventory.pod(*of(WEB).key) == of(WEB)
    writer.join(20)
    assert changes.take() == {KEY: (of(WEB), of(MOVED))}
