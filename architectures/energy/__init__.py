"""Energy-based models: low energy means plausible."""
