"""What is drawn. Nothing in here is imported before there is something to draw.

comparison.py   all pictures of the comparison, one file each; they stand by what they show:
                data.py, scores.py, confusion.py, boundaries.py, animation.py, summary.py;
                drawn.py of the tasks that are drawn while training
benchmark.py    those of the benchmark
program.py      that of show_program.py
album.py        how signatures.py and curvature.py draw theirs, one after the other
palette.py      colours and markers, and the legends that explain them
layout.py       sizes of figures, and names cut to fit
"""
