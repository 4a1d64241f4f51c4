"""Measures the webhook beside its counterparts, in one run, and writes docs/benchmarks.md.

`make bench` is the way in; `__main__.py` says what can be chosen. Nothing in here is timed by
tests: a machine that is busy would fail them. What can be right or wrong about a measurement
(reading, arithmetic, the page) is tested beside the code.
"""
