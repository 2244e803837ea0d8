"""What a seed feeds: all that the comparison draws comes from these streams, none from two of them.

The seed of replica k is ``seeds[k]``. A stream is named by the seed and by numbers behind it, so
what one of them has drawn so far does not move another.
"""

import numpy as np


def data(seed):
    """The points of a replica, or the split of your own data."""
    return np.random.default_rng(seed)


def training(seed):
    """A replica's initial weights, then the noise that it draws while training."""
    return np.random.default_rng([seed, 1])


def prediction(seed, first):
    """The noise of a prediction by the replicas from `first` on: a stream for each layer."""
    return seed, first, 2


def drawn(seed):
    """The minibatches of a task that is drawn while training."""
    return np.random.default_rng([seed, 4])


def order(seed):
    """The order of the rows in each epoch, with --reshuffle: one for all replicas."""
    return np.random.default_rng([seed, 3])
