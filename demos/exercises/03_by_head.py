"""Exercise 3. Walk a graph in your head (lessons 3 and 4, the opening of minigrad/engine.py).

    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    p = a * b
    q = p + a
    loss = q * a
    loss.backward()

What happens? Count, before you let it run.
"""

paths_to_a = ____  # how many paths lead from the loss to a?
edges = ____  # how many edges does backward walk, each of them once?
taken_off_the_heap = ____  # in this order: a list of names
grad_of_a = ____
grad_of_b = ____
