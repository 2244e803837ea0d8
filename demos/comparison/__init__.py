"""The rooms behind compare.py, in reading order: what is learnt, by whom, and what came of it.

options.py     the command line
task.py        the data: rings and clusters, and the ceiling, the accuracy of Bayes' classifier
own_data.py    the same from a CSV or .npz file
contest.py     every architecture trains by one recipe, all replicas at once
ranking.py     means, intervals, ranks and ties
words.py       the table and the takeaways
results.py     results.json and results.csv
progress.py    what is said meanwhile
"""
