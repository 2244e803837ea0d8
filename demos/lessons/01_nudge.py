"""Lesson 1. Which way should a number move, to make a loss smaller? Nudge it, and look.

What a lesson prints stands under the print, behind # >. Run it, change it, run it again.
"""

# A machine with one weight w is to give 6 for the input 2. The loss is how wrong it is, squared.


def loss(w):
    return (w * 2 - 6) ** 2


print(loss(1.0))
# > 16.0

# 16 says that w = 1 is wrong. It does not say whether w should rise or fall, nor how much it
# matters. So nudge w a little and divide the change of the loss by the nudge: the derivative.


def slope(w, nudge):
    return (loss(w + nudge) - loss(w)) / nudge


print(round(slope(1.0, nudge=0.1), 4))
# > -15.6

# By the rules of calculus, d/dw (2 w - 6)^2 = 2 (2 w - 6) 2, and at w = 1 that is -16. The nudge
# was too long: on its way the slope has already changed. So shorten it. But watch the last ones:

for nudge in (1e-1, 1e-3, 1e-8, 1e-15, 1e-17):
    print(f"{nudge:.0e}  {slope(1.0, nudge):.9f}")
# > 1e-01  -15.600000000
# > 1e-03  -15.996000000
# > 1e-08  -15.999999903
# > 1e-15  -17.763568394
# > 1e-17  0.000000000

# Now it is too short: a computer keeps 16 digits, the two losses agree in nearly all of them, and
# their difference is made of what was rounded. At 1e-17, w + nudge is w.
# Nudging both ways mends it. The errors of the two sides cancel, so a nudge may be longer:


def central(w, nudge=1e-5):
    return (loss(w + nudge) - loss(w - nudge)) / (2 * nudge)


print(f"{central(1.0):.9f}")
# > -16.000000000

# The slope is negative: if w rises, the loss falls. So step against the slope, and again:

w = 1.0
for _ in range(4):
    w -= 0.1 * central(w)
    print(f"w = {w:.4f}  loss = {loss(w):.6f}")
# > w = 2.6000  loss = 0.640000
# > w = 2.9200  loss = 0.025600
# > w = 2.9840  loss = 0.001024
# > w = 2.9968  loss = 0.000041

# That is learning. What is wrong with it is the price: two losses for each weight. A network of a
# million weights would be run two million times to take one step. Lesson 2 needs one walk back.

# Now you can read what minigrad/gradcheck.py is for: it checks every gradient by nudging both ways.
# How it does that for arrays you will see after lesson 6.
# Now you can solve exercise 1 in demos/exercises.
