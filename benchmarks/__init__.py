"""Measurements: `python -m benchmarks main_job --json FILE`."""
