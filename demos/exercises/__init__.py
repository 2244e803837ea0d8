"""Exercises that check themselves: fill in the blanks, and run `check.py` with the number.

The answers are in solutions/. checks.py says what each one must do; it gives away nothing but that.
"""
