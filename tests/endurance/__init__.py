"""What the webhook bears: hours in minutes, floods, bad clients, and being stopped under load.

Real processes with real TLS over loopback, against the tests' own API server. `make soak` runs all
of it and writes docs/endurance.md. Every loop is bounded in count and time.
"""
