"""What is behind compare.py, in reading order: what is learnt, by whom, and what came of it.

options.py              the command line
seeds.py                the streams of random numbers that a seed feeds
task.py                 what is learnt: a data set for each replica
rings_and_clusters.py   the task of the comparison, and its densities
ceiling.py              Bayes' classifier of known densities, and its accuracy
drawn.py                tasks that are drawn while training, and how one trains on them
sequences.py            three of them: selective copying, associative recall, adding
digits.py               and two: digits as images, and with exchanged pixels
data_files.py           CSV and .npz files, read with suspicion
own_data.py             your own task, from such a file: no ceiling is known
baselines.py            what is to be beaten there
guests.py               architectures of your own, from a file
prediction.py           class probabilities of trained replicas
training.py             one architecture's turn: all replicas at once, by one recipe
keeping.py              trained networks in files
resuming.py             a run goes on where an earlier one has stopped, or grows
contest.py              all architectures take their turns, here or in other processes
board.py                which epoch each of those processes has reached
cluster.py              a Dask cluster as the place to train
ranking.py              means, intervals, ranks and ties
table.py                the ranking as a table
takeaways.py            the ranking in sentences
results.py              results.json and results.csv
progress.py             what is said before and meanwhile
"""
