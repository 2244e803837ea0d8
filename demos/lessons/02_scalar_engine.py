"""Lesson 2. All derivatives in one walk: an autograd engine in plain Python."""

# Nudging costs two runs for each weight:

runs = 0


def loss(a, b, c):
    global runs
    runs += 1
    return (a * b + c) * a


at = [2.0, -3.0, 10.0]
for i in range(3):
    up, down = [[x + s * (i == j) for j, x in enumerate(at)] for s in (1e-5, -1e-5)]
    print("abc"[i], round((loss(*up) - loss(*down)) / 2e-5, 6))
# > a -2.0
# > b 4.0
# > c 2.0
print(runs, "runs")
# > 6 runs

# Yet a loss is made of steps, each so simple that its derivative is known: if y = u v, then nudging
# u moves y by v times as much. Let each number remember what it was made of, and those factors:


class Value:
    def __init__(self, data, edges=()):
        self.data = data
        self.edges = edges  # (input, d self / d input) for each input
        self.grad = 0.0  # d loss / d self

    def __add__(self, other):
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def backward(self, g=1.0):
        """`g` is d loss / d self, along the path that leads here. The loss itself has 1."""
        self.grad += g
        for parent, factor in self.edges:
            parent.backward(g * factor)  # the chain rule: factors along a path multiply


# Forward, nothing has changed but that a graph is left behind. One walk back along its edges finds
# all three derivatives, and would find a million:

a, b, c = map(Value, at)
result = (a * b + c) * a
result.backward()
print(result.data)
# > 8.0
print(a.grad, b.grad, c.grad)
# > -2.0 4.0 2.0

# Follow b by hand. result = s a with s = a b + c. Nudge b by 1: a b moves by a = 2, so s moves by
# 2 * 1, so the result moves by 2 * 1 * 2 = 4.
# It learns as in lesson 1. Make the result 0, by making its square small:

for _ in range(5):
    a, b, c = map(Value, at)
    result = (a * b + c) * a
    (result * result).backward()
    print(f"{result.data:.4f}")
    at = [v.data - 0.003 * v.grad for v in (a, b, c)]
# > 8.0000
# > 6.7356
# > 5.1065
# > 3.1287
# > 1.3028

# A subtraction, a tanh, an exp: each is one more method with its own factor, and `backward` stays
# as it is. Why does it say += and not =? Lesson 3.

# Now you can read the class Tensor in minigrad/engine.py. Its edges hold a function, a vjp, where
# these hold a factor; lesson 6 says why.
# Now you can solve exercise 2 in demos/exercises.
