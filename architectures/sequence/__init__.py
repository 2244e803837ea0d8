"""Sequence models: each timestep is answered from it and from those before it."""
