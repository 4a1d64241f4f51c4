"""LOOKS. Reads Kubernetes, or files that describe it, into values of `webhook.core`.

What happens in here may fail, be late or be cut off half-way; what leaves it is a value or one of
the errors in `errors.py`, never an exception of the client library. Nothing here decides anything.
Only `credentials.py` imports the `kubernetes` package.
"""
