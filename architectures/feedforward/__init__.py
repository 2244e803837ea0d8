"""Feedforward networks."""
