"""The rooms of regression.py, in reading order.

curve.py     what is measured, and where nothing is
bands.py     four ways to a band around a prediction, and what they hold
picture.py   the picture
"""
