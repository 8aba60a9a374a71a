"""Measurements: `python -m benchmarks NAME --json FILE`; the names are in `__main__`."""
