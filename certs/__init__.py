"""Keeps the webhook's serving certificate trusted and fresh.

- `pki` mints, inspects and verifies X.509 as PEM values; the only module that knows `cryptography`.
- `serving` answers with the TLS context for the next connection, from files or from memory.
- `rotation` decides the next step of a rotation. Pure: values in, a value out.
- `publish` carries a step out: the Secret first, then `caBundle` of the webhook configurations.
- `rotator` ties the three together in a loop whose clock and sleep are arguments.

What holds everywhere in this package:

1. At every moment, also after a crash between two steps, the certificate that is presented verifies
   against the `caBundle` that was published at least one propagation time ago.
2. A certificate, key or client CA that cannot be used never replaces one that is in use: the last
   good one serves on, and the failure is logged once, with what is wrong and what to do.
3. Key material is in memory and in the Secret only. It is in no log line, no `repr`, and in no file
   that outlives a call.
4. The clock is an argument: an aware `datetime` in UTC.

Errors: `CertificateProblem` says what is wrong with a certificate, `PublishProblem` what the API
server would not let us do. This package imports nothing of `webhook`, and no web server.
"""
