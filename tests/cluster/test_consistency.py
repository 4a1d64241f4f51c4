"""Whatever happens, in whatever order: when it is over, the store holds what the server holds."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.cluster.samples import PODS, KeyedStore, decodable, informer_of, pod
from tests.fake_apiserver import FakeApiServer, Fault, wait_until
from webhook.cluster.listwatch import Pace

NAMES = st.sampled_from([f"pod-{number}" for number in range(6)])
NODES = st.sampled_from(["node-1", "node-2", "refused", 7])
FAULTS = st.sampled_from(
    [
        {"status": 410},
        {"status": 429, "headers": {"Retry-After": "0"}},
        {"status": 500},
        {"hang_up": True},
        {"break_off": True},
        {"after": 1, "status": 410},
        {"mangle": lambda body: body[:-3]},
        {"mangle": lambda _: b"\n"},
    ]
)
PACE = Pace(first_delay=0.001, longest_delay=0.01, settled=0.05, silence=0.06, page=2)


class InformerMachine(RuleBasedStateMachine):
    """A server that changes and fails as it likes, and one informer that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = FakeApiServer()
        self.server.start()
        self.up = True
        self.backup = self.server.state.backup()
        self.store = KeyedStore()
        self.failures = 0
        self.informer = informer_of(self.server, self.store, PACE)
        self.informer.start()

    @rule(name=NAMES, node=NODES)
    def put(self, name: str, node: object) -> None:
        self.server.state.put(PODS, pod(name, node))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if ("team", name) in self.server.state.objects(PODS):
            self.server.state.delete(PODS, "team", name)

    @rule()
    def change_another_kind(self) -> None:
        self.server.state.put("/api/v1/services", pod("web"))

    @rule()
    def cut(self) -> None:
        self.server.state.cut_watches()

    @rule()
    def go_half_open(self) -> None:
        self.server.state.silence_watches()

    @rule(code=st.sampled_from([410, 500]))
    def fail_in_the_stream(self, code: int) -> None:
        self.server.state.fail_watches(code)

    @rule(in_stream=st.booleans())
    def compact(self, in_stream: bool) -> None:
        self.server.gone_in_stream = in_stream
        self.server.state.compact()

    @rule(verb=st.sampled_from(["list", "watch"]), fault=FAULTS)
    def go_wrong_once(self, verb: str, fault: dict[str, object]) -> None:
        self.server.inject(Fault(verb=verb, **fault))  # type: ignore[arg-type]

    @rule()
    @precondition(lambda self: self.up)
    def go_down(self) -> None:
        self.server.stop()
        self.up = False
        self.failures = self.informer.status().failures

    @rule()
    @precondition(lambda self: not self.up)
    def come_back(self) -> None:
        self.server.start()
        self.up = True

    @rule()
    def back_up(self) -> None:
        self.backup = self.server.state.backup()

    @rule()
    @precondition(lambda self: not self.up)
    def restore_from_backup(self) -> None:
        # Such a thing takes longer than an informer needs to see that the server is away.
        wait_until(self.server_is_missed)
        self.server.state.restore(self.backup)

    def server_is_missed(self) -> bool:
        status = self.informer.status()
        return status.failures > self.failures and "refused" in status.last_error

    @rule()
    def settle(self) -> None:
        if not self.up:
            self.come_back()
        wait_until(lambda: self.store.pods == decodable(self.server))

    def teardown(self) -> None:
        if not self.up:
            self.server.start()
        wait_until(lambda: self.store.pods == decodable(self.server))
        self.informer.stop()
        self.server.stop()
        self.informer.join(5)


TestInformer = InformerMachine.TestCase
TestInformer.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    # Threads and sockets make no two runs alike, so a failure does not get smaller by trying.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
