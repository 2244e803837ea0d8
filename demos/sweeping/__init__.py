"""What is behind sweep.py, in reading order. Contest and training are the comparison's.

options.py   the command line: what may have several values
grid.py      which settings there are, and which of them train together
report.py    the settings by accuracy: a table, and sweep.json
picture.py   sweep.png: the settings as a map
"""
