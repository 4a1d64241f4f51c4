"""Secret and `caBundle` are written whole, only upon what was read, and nothing else is touched."""

import pytest

from certs.publish import Conflict, Publisher, PublishProblem, bundle_from, data_of
from certs.rotation import CertBundle
from tests.certs.builders import sound_ca, sound_serving
from tests.certs.fake_api import CONFIGURATION, NAMESPACE, SECRET, WEBHOOKS, FakeApi

CA = sound_ca()
NEXT = sound_ca("next CA")
BUNDLE = CertBundle(
    current=CA,
    next=NEXT,
    previous=sound_ca("old CA").certificate,
    serving=sound_serving(CA),
)
PEM = BUNDLE.ca_bundle


def publisher_of(api: FakeApi, *configurations: str) -> Publisher:
    return Publisher(
        api,
        namespace=NAMESPACE,
        secret=SECRET,
        configurations=configurations or (CONFIGURATION,),
    )


def test_a_bundle_is_read_as_it_was_written() -> None:
    publisher = publisher_of(FakeApi())

    publisher.store(BUNDLE, publisher.read_secret())

    assert publisher.read_secret().bundle == BUNDLE


def test_a_secret_that_holds_nothing_or_half_a_pair_holds_no_pair() -> None:
    assert bundle_from({}) == CertBundle()
    assert bundle_from({"ca.crt": CA.certificate, "tls.key": CA.key}) == CertBundle()
    assert bundle_from({"ca.crt": CA.certificate, "ca.key": b""}) == CertBundle()


def test_the_keys_of_the_secret_are_stable() -> None:
    assert set(data_of(CertBundle())) == {
        "ca.crt",
        "ca.key",
        "next-ca.crt",
        "next-ca.key",
        "previous-ca.crt",
        "tls.crt",
        "tls.key",
    }


def test_an_empty_secret_made_by_an_installer_is_filled() -> None:
    api = FakeApi()
    api.write_secret({})
    publisher = publisher_of(api)

    publisher.store(BUNDLE, publisher.read_secret())

    assert "create Secret" not in api.requests
    assert publisher.read_secret().bundle == BUNDLE


def test_what_is_over_is_removed_from_the_secret_and_what_is_not_ours_stays() -> None:
    api = FakeApi()
    api.write_secret({"theirs": b"1"})
    publisher = publisher_of(api)
    publisher.store(BUNDLE, publisher.read_secret())

    publisher.store(CertBundle(current=CA, serving=BUNDLE.serving), publisher.read_secret())

    assert set(api.secret()) == {"theirs", "ca.crt", "ca.key", "tls.crt", "tls.key"}


def test_the_secret_is_written_only_at_the_version_that_was_read() -> None:
    api = FakeApi()
    publisher = publisher_of(api)
    nothing = publisher.read_secret()
    publisher.store(BUNDLE, nothing)
    something = publisher.read_secret()
    publisher.store(BUNDLE, something)

    for stale in (nothing, something):
        with pytest.raises(Conflict):
            publisher.store(CertBundle(), stale)

    assert publisher.read_secret().bundle == BUNDLE


def test_a_secret_deleted_meanwhile_is_a_conflict_not_a_problem() -> None:
    api = FakeApi()
    publisher = publisher_of(api)
    publisher.store(BUNDLE, publisher.read_secret())
    state = publisher.read_secret()
    api.delete_secret()

    with pytest.raises(Conflict):
        publisher.store(BUNDLE, state)


def test_every_webhook_of_every_configuration_gets_the_bundle() -> None:
    api = FakeApi("guard", "audit")
    publisher = publisher_of(api, "guard", "audit")

    problems = publisher.publish(PEM, publisher.read_configurations())

    assert problems == ()
    assert api.ca_bundles("guard") == api.ca_bundles("audit") == dict.fromkeys(WEBHOOKS, PEM)


def test_nothing_is_written_where_it_is_so_already() -> None:
    api = FakeApi()
    publisher = publisher_of(api)
    publisher.publish(PEM, publisher.read_configurations())
    api.requests.clear()

    publisher.publish(PEM, publisher.read_configurations())

    assert api.requests == ["get guard"]


def test_only_the_webhooks_that_differ_are_written() -> None:
    api = FakeApi()
    api.write_ca_bundles({WEBHOOKS[0]: PEM, WEBHOOKS[1]: b"theirs"})
    publisher = publisher_of(api)
    written: list[object] = []
    patch = api.patch_ca_bundles
    api.patch_ca_bundles = lambda *a: (written.append(a[2]), patch(*a))[1]  # type: ignore[method-assign, func-returns-value]

    publisher.publish(PEM, publisher.read_configurations())

    assert written == [{WEBHOOKS[1]: PEM}]


def test_a_configuration_is_written_only_at_the_version_that_was_read() -> None:
    api = FakeApi()
    publisher = publisher_of(api)
    stale = publisher.read_configurations()
    newer = dict.fromkeys(WEBHOOKS, CA.certificate)
    api.write_ca_bundles(newer)

    with pytest.raises(Conflict):
        publisher.publish(PEM, stale)

    assert api.ca_bundles() == newer


@pytest.mark.parametrize("verb", ["get", "patch"])
def test_one_configuration_that_is_forbidden_does_not_stop_the_others(verb: str) -> None:
    api = FakeApi("audit", "guard")
    api.refusals[f"{verb} audit"] = 403
    publisher = publisher_of(api, "audit", "guard")

    read = publisher.read_configurations()
    problems = (*read.problems, *publisher.publish(PEM, read))

    assert api.ca_bundles("guard") == dict.fromkeys(WEBHOOKS, PEM)
    [problem] = problems
    assert problem.startswith(f"may not {verb} ValidatingWebhookConfiguration audit: ")


def test_a_conflict_in_one_configuration_does_not_stop_the_others() -> None:
    api = FakeApi("audit", "guard")
    publisher = publisher_of(api, "audit", "guard")
    read = publisher.read_configurations()
    api.write_ca_bundles(dict.fromkeys(WEBHOOKS, b""), "audit")

    with pytest.raises(Conflict):
        publisher.publish(PEM, read)

    assert api.ca_bundles("guard") == dict.fromkeys(WEBHOOKS, PEM)


PROBLEMS = {
    "get Secret": (
        "may not get Secret system/guard-certs: allow in a Role of namespace system: "
        '{apiGroups: [""], resources: [secrets], resourceNames: [guard-certs], '
        "verbs: [get, patch]} (get Secret is refused)"
    ),
    "create Secret": (
        "may not create Secret system/guard-certs: create an empty Secret beforehand, or allow in "
        'a Role of namespace system: {apiGroups: [""], resources: [secrets], verbs: [create]} '
        "(create Secret is refused)"
    ),
}


@pytest.mark.parametrize("request_", PROBLEMS)
def test_a_forbidden_secret_is_reported_with_object_verb_and_remedy(request_: str) -> None:
    api = FakeApi()
    api.refusals[request_] = 403
    publisher = publisher_of(api)

    with pytest.raises(PublishProblem) as raised:
        publisher.store(BUNDLE, publisher.read_secret())

    assert str(raised.value) == PROBLEMS[request_]


def test_a_forbidden_patch_of_the_secret_names_the_same_rule() -> None:
    api = FakeApi()
    api.write_secret({})
    api.refusals["patch Secret"] = 403
    publisher = publisher_of(api)

    with pytest.raises(PublishProblem, match=r"may not patch Secret .* verbs: \[get, patch\]"):
        publisher.store(BUNDLE, publisher.read_secret())


def test_a_configuration_that_is_missing_is_a_problem_that_names_it() -> None:
    publisher = publisher_of(FakeApi(), "absent")

    assert publisher.read_configurations().problems == (
        "ValidatingWebhookConfiguration absent does not exist; create it, or correct the name",
    )


def test_a_forbidden_configuration_is_reported_with_the_rule_that_allows_it() -> None:
    api = FakeApi()
    api.refusals["get guard"] = 403

    [problem] = publisher_of(api).read_configurations().problems
    assert problem == (
        "may not get ValidatingWebhookConfiguration guard: allow in a ClusterRole: "
        '{apiGroups: ["admissionregistration.k8s.io"], '
        "resources: [validatingwebhookconfigurations], resourceNames: [guard], "
        "verbs: [get, patch]} (get guard is refused)"
    )


def test_any_other_refusal_is_reported_as_the_server_put_it() -> None:
    api = FakeApi()
    api.refusals["get Secret"] = 500

    with pytest.raises(PublishProblem) as raised:
        publisher_of(api).read_secret()

    assert str(raised.value) == "cannot get Secret system/guard-certs: get Secret is refused"
