"""The pictures of signatures.py, one file for each.

Each has a function ``picture`` that trains what it shows, briefly, and returns (a figure, its key
numbers in a line).
"""
