"""Exercise 16. The shapes of a stack (lesson 9, `stack` in minigrad/nn/replicas.py).

    layer = nn.stack([nn.Linear(3, 4, rng=k) for k in range(5)])

Write the shapes down as tuples.
"""

weight = ____  # layer.weight.shape
bias = ____  # layer.bias.shape
shared = ____  # of layer(x), if x has the shape (8, 3): the same batch for all
own = ____  # if x has the shape (5, 8, 3): a batch for each
sampled = ____  # if x is (7, 1, 8, 3): seven samples in front of the replicas
loss = ____  # of cross_entropy(layer(x), y), if x is (8, 3) again, and y (8,)
alone = ____  # is the gradient of replica 2 what it would be without the others?
