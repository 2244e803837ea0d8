"""Exercise 2. A subtraction and a tanh for the scalar engine (lesson 2).

Each result holds its edges: (input, how much the result moves if that input moves by 1).
"""

import math


class Value:
    def __init__(self, data, edges=()):
        self.data, self.edges, self.grad = data, edges, 0.0

    def __mul__(self, other):
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def __sub__(self, other):
        return Value(self.data - other.data, [(self, 1.0), (other, -1.0)])

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, [(self, 1 - y * y)])

    def backward(self, g=1.0):
        self.grad += g
        for parent, factor in self.edges:
            parent.backward(g * factor)
