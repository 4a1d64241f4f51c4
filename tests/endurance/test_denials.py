"""Thousands of denials, no two of them alike, leave nothing behind."""

import gc

from tests.builders import body, endpoints, external, pod, review, service, state, subset
from tests.fuzz.fronts import Front
from webhook.cluster.state import FixedState

ROUND = 1000
STRAY_OBJECTS = 2 * ROUND // 10
"""What the interpreter and its libraries may keep for themselves: far less than one a denial."""


def test_denials_of_ever_other_users_names_and_addresses_leave_no_object_behind() -> None:
    front = Front(FixedState(inventory=state(service(), pod())))
    deny_a_round(front, 0)
    gc.collect()
    before = len(gc.get_objects())
    for number in (1, 2):
        deny_a_round(front, number)
    gc.collect()
    assert len(gc.get_objects()) - before < STRAY_OBJECTS


def deny_a_round(front: Front, number: int) -> None:
    for each in range(number * ROUND, (number + 1) * ROUND):
        write = endpoints(subset(external(f"10.9.{each // 256}.{each % 256}")))
        answer = front.ask(body(review(write, user=f"user-{each}")), stable=False)
        assert b'"allowed":false' in answer.body
