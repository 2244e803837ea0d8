"""What a person runs: compare, benchmark, signatures. What is behind them stands in the folders."""
