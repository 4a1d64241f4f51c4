"""Where to listen: how it is written, and what is said when it cannot be had."""

import socket

import pytest

from webhook.gateway import Listen, ListenError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("0.0.0.0:8443", "0.0.0.0", 8443),
        ("localhost:0", "localhost", 0),
        ("[::1]:8443", "::1", 8443),
        ("[0:0::1]:65535", "::1", 65535),
        ("webhook.example:443", "webhook.example", 443),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert Listen.parse(text) == Listen(host=host, port=port)


@pytest.mark.parametrize("text", ["127.0.0.1:8443", "[::1]:8443"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(Listen.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not HOST:PORT"),
        ("8443", "is not HOST:PORT"),
        ("localhost", "is not HOST:PORT"),
        ("localhost:", "is not HOST:PORT"),
        ("localhost:https", "is not HOST:PORT"),
        ("localhost:-1", "is not HOST:PORT"),
        ("localhost:²", "is not HOST:PORT"),
        ("localhost:65536", "a port is at most 65535"),
        (":8443", "the host is missing"),
        ("::1:8443", "stands in brackets"),
        ("[localhost]:8443", "is not an IPv6 address"),
    ],
)
def test_what_is_no_address_is_said_to_be_none(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        Listen.parse(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_port_0_is_one_that_the_kernel_chooses(host: str) -> None:
    with Listen(host=host, port=0).bind() as listener:
        assert listener.getsockname()[1] > 0
        socket.create_connection(listener.getsockname()[:2]).close()


def test_an_address_in_use_is_named() -> None:
    with Listen.parse("127.0.0.1:0").bind() as listener:
        taken = Listen(host="127.0.0.1", port=listener.getsockname()[1])
        with pytest.raises(ListenError) as raised:
            taken.bind()
    assert str(raised.value) == (
        f"cannot listen on {taken}: Address already in use; "
        "stop what listens there, or choose another port"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("no-such-host.invalid:0", ""),
    ],
)
def test_an_address_that_is_not_ours_is_named(text: str, reason: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {text}: {reason}"):
        Listen.parse(text).bind()
