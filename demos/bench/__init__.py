"""What benchmark.py measures, and how.

clock.py     reading the clock fairly
duel.py      minigrad, eager and compiled, against the same step written by hand
scaling.py   how a step grows: with depth, width, batch, time and replicas; launches; memory
process.py   a whole fresh process, imports and all
peers.py     the MLP's step in other frameworks
tables.py    all of that as text
"""
