"""Keeps the webhook's serving certificate trusted and fresh.

- `pki` mints and inspects X.509 as PEM values; `verification` says whether a certificate would be
  accepted, and if not, why. Only these two know `cryptography`.
- `tls` builds the context of the listener; `serving` answers which one the next connection gets,
  from files or from memory.
- `rotation` decides the next step of a rotation. Values in, a value out.
- `publish` keeps the rotation's state in a Secret and its CAs in `caBundle`, through `api`.
- `rotator` ties these together in a loop whose clocks are arguments.
- `review` says how a certificate is doing.

What holds everywhere in this package:

1. At every moment, also after a crash between two steps, what is presented is signed by a CA that
   every API server trusts already and still. A step that needs this waits until this process has
   seen it so for a propagation time. Two things can break it: a replica that does not look for
   longer than that, and an administrator who takes out of the Secret or out of `caBundle` what is
   still needed. Then everything is repaired in the next round.
2. A certificate, key or client CA that cannot be used never replaces one that is in use. The last
   good one serves on, and the failure is logged once, with what is wrong and what to do.
3. Private keys are in memory and in the Secret only: in no log line, no `repr`, and in no file that
   outlives a call.
4. The clock is an argument: an aware `datetime` in UTC, or seconds of a monotonic clock.

Errors: `CertificateProblem` says what is wrong with a certificate, `PublishProblem` what the API
server does not let us do. This package imports nothing of `webhook`, and no web server.
"""

import logging

# Whoever has not set up logging hears of errors by exceptions, once.
logging.getLogger(__name__).addHandler(logging.NullHandler())
