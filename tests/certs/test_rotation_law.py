"""The law: whatever happens in whatever order, what is presented is trusted by every API server.

Processes crash between two requests and start again, replicas overtake each other in the middle of
a round, clocks jump, and administrators delete and damage the Secret. `cluster` does the checking.
"""

from datetime import timedelta

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.certs.builders import DAY
from tests.certs.cluster import REPLICAS, Cluster
from tests.certs.fake_api import Crash


def crash() -> None:
    raise Crash


numbers = st.integers(min_value=0, max_value=REPLICAS - 1)
moments = st.integers(min_value=1, max_value=8)
# Not the old CAs: whoever removes them while they are needed has asked for the gap.
damageable = st.sampled_from(
    ["ca.crt", "ca.key", "tls.crt", "tls.key", "next-ca.crt", "next-ca.key"]
)


class RotationLaw(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()

    @rule(days=st.integers(min_value=1, max_value=9))
    def quiet_days(self, days: int) -> None:
        self.cluster.pass_quiet_days(days)

    @rule(hours=st.integers(min_value=1, max_value=24))
    def time_passes(self, hours: int) -> None:
        """No replica looks less often than once an interval, which is a day here."""
        self.cluster.pass_time(timedelta(hours=hours))
        for number in range(REPLICAS):
            self.cluster.run(number)

    @rule(number=numbers, moment=moments)
    def one_crashes_in_the_middle(self, number: int, moment: int) -> None:
        self.cluster.during(moment, crash, lambda: self.cluster.run(number))

    @rule(slow=numbers, quick=numbers, moment=moments)
    def one_overtakes_another_in_the_middle(self, slow: int, quick: int, moment: int) -> None:
        if slow != quick:
            self.cluster.during(
                moment, lambda: self.cluster.run(quick), lambda: self.cluster.run(slow)
            )

    @rule(days=st.integers(min_value=1, max_value=9))
    def the_secret_cannot_be_written_for_days(self, days: int) -> None:
        self.cluster.refuse_writes_of_the_secret(days)

    @rule(back=st.integers(min_value=1, max_value=3))
    def an_installer_restores_an_earlier_ca_bundle(self, back: int) -> None:
        self.cluster.restore_ca_bundle(back)

    @rule(number=numbers)
    def one_starts_anew(self, number: int) -> None:
        self.cluster.stop(number)
        self.cluster.start(number)

    @rule(number=numbers)
    def an_administrator_asks_for_a_new_ca(self, number: int) -> None:
        self.cluster.run(number, lambda rotator: rotator.stage_next_ca(self.cluster.now))

    @rule(
        jump=st.sampled_from([-100 * DAY, -DAY, timedelta(minutes=-40), DAY, 95 * DAY, 400 * DAY])
    )
    def all_clocks_jump(self, jump: timedelta) -> None:
        self.cluster.now += jump
        self.cluster.check()

    @rule()
    def an_administrator_deletes_the_secret(self) -> None:
        self.cluster.api.delete_secret()
        self.cluster.excused.add("Secret")

    @rule(key=damageable, whole=st.booleans())
    def an_administrator_damages_the_secret(self, key: str, whole: bool) -> None:
        self.cluster.damage(key, whole=whole)

    def teardown(self) -> None:
        """Left alone, every cluster comes to rest."""
        for number in range(REPLICAS):
            if number not in self.cluster.replicas:
                self.cluster.start(number)
        for _ in range(40):
            self.cluster.pass_quiet_days(1)
            if self.cluster.is_at_rest():
                return
        raise AssertionError("the rotation never ends")


TestRotationLaw = RotationLaw.TestCase
TestRotationLaw.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
)
