"""Lesson 4. A graph with 33,554,432 paths and 25 steps: why the newest goes first."""

from heapq import heappop, heappush  # a heap hands out its smallest entry first

# Lesson 2 walks back along every path by itself. Count its calls where paths part and meet again:


class Value:
    made = 0

    def __init__(self, data, edges=()):
        Value.made += 1
        self.data, self.edges, self.grad = data, edges, 0.0
        self.order = Value.made  # not used yet

    def __add__(self, other):
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])


def naive(value, g=1.0):
    value.grad += g
    return 1 + sum(naive(parent, g * factor) for parent, factor in value.edges)


def diamonds(depth):
    first = last = Value(1.0)
    for _ in range(depth):
        last = last + last  # both inputs are the one before: each level doubles the paths
    return first, last


for depth in (2, 5, 10, 15):
    first, last = diamonds(depth)
    print(depth, naive(last), first.grad)
# > 2 7 4.0
# > 5 63 32.0
# > 10 2047 1024.0
# > 15 65535 32768.0

# The gradients are right, but 25 levels have 2^25 = 33,554,432 paths, and a network has more levels
# than that. There are only 26 numbers, though. It would do to visit each of them once, if all that
# is coming to it had come by then. Take any order, say breadth first, and it goes wrong:


def breadth_first(root):
    root.grad, queue, seen = 1.0, [root], set()
    for value in queue:
        if value in seen:
            continue
        seen.add(value)
        for parent, factor in value.edges:
            parent.grad += value.grad * factor
            queue.append(parent)


a = Value(1.0)
b = a + a
c = b + b
d = a + c  # two paths to a: at once, and through c and b
top = d + b  # b is reached before c has sent its part
breadth_first(top)
print(a.grad)
# > 3.0

# By nudging, a counts 1 + 4 + 2 = 7 times. b was visited while the part through c was on its way.
# Which of the reached numbers has received everything? What uses a number was made later than it.
# So the NEWEST of them: whatever could still send to it would have to be newer still.


def newest_first(root):
    root.grad, waiting, known, visits = 1.0, [(-root.order, root)], {root}, 0
    while waiting:
        value = heappop(waiting)[1]
        visits += 1
        for parent, factor in value.edges:
            parent.grad += value.grad * factor
            if parent not in known:
                known.add(parent)
                heappush(waiting, (-parent.order, parent))
    return visits


for value in (a, b, c, d, top):
    value.grad = 0.0
newest_first(top)
print(a.grad)
# > 7.0

first, last = diamonds(25)
print(newest_first(last), first.grad)
# > 26 33554432.0

# No recursion either, so depth is no limit (`naive` stops before a thousand):

print(newest_first(diamonds(100_000)[1]))
# > 100001

# Now you can read `backward` and `_pass_on` in minigrad/engine.py: the same heap, newest first. But
# leaves, as `first` here, are not put on it: they have nobody to pass anything on to.
# Now you can solve exercise 3 in demos/exercises.
