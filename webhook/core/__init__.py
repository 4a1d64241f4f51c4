"""DECIDES. Values and functions of values; nothing here looks at the world.

No clock, environment, log, thread, file or socket: what a decision needs is passed in, so the same
call gives the same answer in admission, in `check` and in `audit`. msgspec is the one package that
may be imported (values decode themselves); import-linter proves it.
"""
