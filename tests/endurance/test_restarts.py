"""What must never happen, however short the run: the rest of the scenes takes minutes."""

from tests.endurance.scenes import restarts


def test_a_replica_that_is_stopped_under_load_loses_no_request() -> None:
    (result,) = restarts(1)
    assert result.kept, result.measured
