"""Benchmarks: what the test suite must not do, since times depend on the machine."""
