"""What benchmark.py measures, one file for each kind of measurement."""
