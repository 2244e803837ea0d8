"""The pictures of curvature.py, one file for each, and Lanczos' method (lanczos.py).

Each picture's file has a function ``picture`` that computes what it shows, and returns (a figure,
its key numbers in a line).
"""
