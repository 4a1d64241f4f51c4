"""How the webhook speaks TLS: protocol, ciphers, client certificates.

Takes PEM values only. OpenSSL reads a key from a file and from nowhere else, so it is given one
that exists in memory.
"""

import os
import ssl
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from certs.pki import CertificateProblem, KeyPair, Reason

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # for TLS 1.2; every suite of TLS 1.3 will do


def build_context(pair: KeyPair, client_ca: bytes | None) -> ssl.SSLContext:
    """A server context for TLS 1.2 and 1.3 and HTTP/1.1.

    With `client_ca` (PEM) clients must present a certificate that one of these CAs signed. No
    session is kept for resumption: the API server reuses connections instead, and a certificate
    that is swapped leaves no sessions of the old one. Raises CertificateProblem if OpenSSL refuses.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    try:
        with _file_of(pair.key + b"\n" + pair.certificate) as path:
            context.load_cert_chain(path)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            # As Go does: a CA of the bundle is trusted even if it is itself signed by another.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(cadata=client_ca.decode("ascii", "ignore"))
    except (ssl.SSLError, OSError) as error:
        raise CertificateProblem(Reason.UNREADABLE, f"OpenSSL refuses it: {error}") from error
    return context


def client_name_allowed(
    peer_certificate: Mapping[str, Any] | None, allowed: Collection[str]
) -> bool:
    """Whether a verified client is one of `allowed`, by common name or alternative name, exactly.

    `peer_certificate` is what `SSLSocket.getpeercert()` returns. Nobody is one of no names: ask
    only when names are required.
    """
    peer = peer_certificate or {}
    subject = (attribute for relative in peer.get("subject", ()) for attribute in relative)
    common_names = {value for kind, value in subject if kind == "commonName"}
    alternatives = {value for _, value in peer.get("subjectAltName", ())}
    return not (common_names | alternatives).isdisjoint(allowed)


def _file_of(content: bytes) -> AbstractContextManager[str]:
    """A path that reads as `content` inside the block and is gone afterwards."""
    in_memory = hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()
    return _memory_file(content) if in_memory else _temporary_file(content)


@contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    with os.fdopen(os.memfd_create("serving-certificate"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


@contextmanager
def _temporary_file(content: bytes) -> Iterator[str]:
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(content)
        file.flush()
        yield file.name
