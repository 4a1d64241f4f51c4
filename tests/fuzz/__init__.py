"""Looks for input that breaks a promise: `make fuzz`.

`contract` says what every answer must be, `fronts` is the webhook from bytes to bytes without a
socket. Laws are Hypothesis tests (they run in `make test`, too, for a short while); targets take
any bytes and are led by the coverage that they reach.
"""
