"""How fast what is stored is judged: the audit of a file with Services, Pods and all endpoints.

Everything in it is as the control plane writes it, so that the audit reads all and reports nothing.
The work is done by a process of its own (this module, run as a program), alone on a core.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import builders
from tests.bench import scene
from tests.bench.cores import Cores, on_cores
from tests.bench.plan import Plan
from tests.bench.results import Audit, Auditing

Json = dict[str, Any]

_ROOT = Path(__file__).parents[2]
_PODS_OF_SERVICE = 20
_SERVICES_OF_NAMESPACE = 20


def measure(cores: Cores, plan: Plan) -> Auditing:
    """Write the file, and audit it once a round."""
    services = plan.audit_addresses // (2 * _PODS_OF_SERVICE)
    with tempfile.TemporaryDirectory(prefix="eg-bench-") as folder:
        file = Path(folder, "state.json")
        plan.say(f"writing a state with {plan.audit_addresses:,} addresses")
        file.write_text(
            json.dumps({"kind": "List", "apiVersion": "v1", "items": [*_state(services)]})
        )
        audits = []
        for number in range(plan.rounds):
            plan.say(f"round {number + 1} of {plan.rounds}: auditing")
            audits.append(_audit(cores, file))
        return Auditing(
            services=services,
            pods=services * _PODS_OF_SERVICE,
            addresses=2 * services * _PODS_OF_SERVICE,
            file_mib=file.stat().st_size / 2**20,
            audits=tuple(audits),
        )


def _audit(cores: Cores, file: Path) -> Audit:
    with on_cores(cores.server):
        done = subprocess.run(
            (sys.executable, "-m", __name__, str(file)),
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    return Audit(**json.loads(done.stdout))


def _state(services: int) -> Iterator[Json]:
    """Yield Services, their Pods, and the Endpoints and slice of each."""
    yield from scene.nodes()
    for number in range(services):
        name, namespace = f"app-{number}", f"tenant-{number // _SERVICES_OF_NAMESPACE}"
        pods = [
            _stored(scene.pod(namespace, name, n, scene.pod_address(number * _PODS_OF_SERVICE + n)))
            for n in range(_PODS_OF_SERVICE)
        ]
        yield scene.service(namespace, name)
        yield from pods
        yield placed(scene.endpoints(name, pods), namespace)
        yield placed(scene.endpoint_slice(name, pods), namespace)


def _stored(pod: Json) -> Json:
    metadata = {**pod["metadata"], "uid": f"uid-of-{pod['metadata']['name']}"}
    return {**pod, "metadata": metadata}


def placed(made: Json, namespace: str) -> Json:
    """Return the same in another namespace."""
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}}


def main(file: str) -> None:
    """Audit a state, and print how long it took to read and to judge it."""
    from webhook.cluster.manifests import read_paths, state_of  # noqa: PLC0415 - only this process
    from webhook.core.audit import audit  # noqa: PLC0415

    began = time.perf_counter()
    inventory = state_of(read_paths((file,)))
    read = time.perf_counter()
    judged = list(audit(inventory, builders.POLICY))
    seconds = time.perf_counter() - read
    found = sum(len(each.findings) for each in judged)
    print(
        json.dumps(
            {
                "objects": len(judged),
                "findings": found,
                "read_seconds": read - began,
                "judge_seconds": seconds,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
