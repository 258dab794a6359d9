"""Benchmarks: ratios against a baseline measured in the same run; no test asserts a time."""
