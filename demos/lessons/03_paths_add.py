"""Lesson 3. Why contributions add: a number can reach the loss by more than one path."""

# The engine of lesson 2, with one character taken away: it says = where it said +=. (The line is a
# method of its own, `arrive`, so that it can be mended further down.)


class Value:
    def __init__(self, data, edges=()):
        self.data, self.edges, self.grad = data, edges, 0.0

    def __add__(self, other):
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def arrive(self, g):
        self.grad = g

    def backward(self, g=1.0):
        self.arrive(g)
        for parent, factor in self.edges:
            parent.backward(g * factor)


# As long as every number is used once, nobody notices:

a, b = Value(3.0), Value(4.0)
(a * b).backward()
print(a.grad, b.grad)
# > 4.0 3.0

# But use one twice. For y = a b + a the derivative by a is b + 1 = 5, and by nudging too:


def y(a, b):
    return a * b + a


print(round((y(3.00001, 4.0) - y(2.99999, 4.0)) / 0.00002, 6))
# > 5.0

a, b = Value(3.0), Value(4.0)
y(a, b).backward()
print(a.grad)
# > 1.0

# 1 came last, along the second path (the "+ a"), and wrote over the 4 that had come along the first
# (through "a * b"). But nudging a pushes both paths at once: the loss moves by their sum.


def add_up(self, g):
    self.grad += g


Value.arrive = add_up
a, b = Value(3.0), Value(4.0)
y(a, b).backward()
print(a.grad)
# > 5.0

# That is the whole chain rule: along a path factors multiply, and over all paths products add.
# Squares are the same story. In a a, both inputs are a: two paths with the factor 3 each.

a = Value(3.0)
(a * a).backward()
print(a.grad)
# > 6.0

# Two losses are also two paths. Whoever calls backward on a second one, without setting grad to 0
# in between, gets the gradient of the sum. This is why a training step begins with an optimizer's
# zero_grad(), which forgets what the step before has left:

(a * a).backward()
print(a.grad)
# > 12.0

# Both paths can be seen: README.md has the graph of (a * b + a).sum(), drawn by minigrad.draw.

# Now you can read `_pass_on` in minigrad/engine.py: the + in `parent.grad + contribution` joins the
# paths that meet in a result (what an op has made, as a * b here), and the += in `_accumulate`
# those that meet in a leaf (what you have made, as a).
