"""What the answer to each exercise must do, claim by claim, and one hint.

A check is a function of the answer, a namespace with the names that its file defines. It returns
if the claim holds, and raises if it does not: `Wrong` says what was found and what was expected.
"""

import math
from collections import defaultdict
from contextlib import suppress

import numpy as np

import minigrad
from architectures import ARCHITECTURES, lookup
from minigrad import Tensor, functional, nn
from minigrad.gradcheck import GradientError, gradcheck
from minigrad.spiking import lif, spike

CHECKS: dict = defaultdict(list)  # {number: [(claim, check)]}
HINTS: dict = {}


class Wrong(AssertionError):
    """The answer is not what it should be."""


def exercise(number, hint):
    """The decorator with which an exercise's claims enter CHECKS."""
    HINTS[number] = hint

    def claims(claim):
        def enter(check):
            CHECKS[number].append((claim, check))
            return check

        return enter

    return claims


def same(found, expected, what="it"):
    """Raise Wrong unless both are equal, but for rounding."""
    found, expected = (x.numpy() if isinstance(x, Tensor) else x for x in (found, expected))
    shapes = np.shape(found), np.shape(expected)
    if shapes[0] != shapes[1]:
        raise Wrong(f"{what} has the shape {shapes[0]}, not {shapes[1]}")
    if not np.allclose(found, expected, atol=1e-7):
        raise Wrong(f"{what} is {short(found)}, not {short(expected)}")


def short(value):
    text = np.array2string(np.asarray(value), precision=4, threshold=8)
    return " ".join(text.split())


def nudged(*arguments, **options):
    """`gradcheck`, its words made those of these exercises."""
    try:
        gradcheck(*arguments, **options)
    except GradientError as error:
        raise Wrong(f"by {error}") from None


def says(found, expected, what):
    """Raise Wrong unless the learner's answer in words or numbers is the expected one."""
    if found != expected:
        raise Wrong(f"{what} is not {found!r}")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def leaf(values):
    return Tensor(np.array(values, "float64"), requires_grad=True)


# --- 1 to 3: numbers -------------------------------------------------------------------------

claim = exercise(1, "the change of f between x - nudge and x + nudge, over how far they are apart")


@claim("x^3 has the slope 12 at 2")
def _(a):
    same(a.slope(lambda x: x**3, 2.0), 12.0)


@claim("a long nudge does little harm, since the errors of both sides cancel")
def _(a):
    error = abs(a.slope(math.exp, 1.0, nudge=0.01) - math.e)
    if error > 1e-3:
        raise Wrong(f"the slope of e^x at 1 by a nudge of 0.01 is off by {error:.4f}")


claim = exercise(2, "if the second number of a - b rises by 1, what does a - b do?")


@claim("a - b sends 1 to a and -1 to b")
def _(answer):
    a, b = answer.Value(5.0), answer.Value(3.0)
    (a - b).backward()
    same([a.grad, b.grad], [1.0, -1.0], "the pair of gradients")


@claim("a - a depends on nothing")
def _(answer):
    a = answer.Value(5.0)
    (a - a).backward()
    same(a.grad, 0.0, "the gradient")


@claim("tanh has the slope 1 - tanh^2")
def _(answer):
    a = answer.Value(0.5)
    a.tanh().backward()
    same(a.grad, 1 - math.tanh(0.5) ** 2, "the gradient at 0.5")


@claim("and both chain with *")
def _(answer):
    a, b = answer.Value(0.5), answer.Value(2.0)
    ((a * b).tanh() - a).backward()
    same(a.grad, 2 * (1 - math.tanh(1.0) ** 2) - 1, "the gradient of tanh(a b) - a")


claim = exercise(3, "minigrad.draw(loss, a=a, b=b).backward(): print it, or look at it")


def walked():
    """What really happens: (the graph after backward, the names of its results)."""
    a, b = (Tensor(x, requires_grad=True) for x in (2.0, 3.0))
    p = a * b
    q = p + a
    loss = q * a
    graph = minigrad.draw(loss, a=a, b=b)
    names = {id(p): "p", id(q): "q", id(loss): "loss"}
    return graph.backward(), [names.get(id(node.tensor)) for node in graph.nodes]


@claim("the number of paths from the loss to a")
def _(answer):
    def paths(node):
        return (node.name == "a") + sum(paths(edge.parent) for edge in node.edges)

    says(answer.paths_to_a, paths(walked()[0].nodes[-1]), "their number")


@claim("the number of edges")
def _(answer):
    says(answer.edges, len(walked()[0].steps), "their number")


@claim("the order in which results leave the heap")
def _(answer):
    newest_first = [name for name in walked()[1][::-1] if name]
    says(answer.taken_off_the_heap, newest_first, "the order")


@claim("the gradients")
def _(answer):
    arrived = {node.name: node.arrived.item() for node in walked()[0].nodes}
    same(answer.grad_of_a, arrived["a"], "a.grad, you say,")
    same(answer.grad_of_b, arrived["b"], "b.grad, you say,")


# --- 4 to 8: vjps ----------------------------------------------------------------------------

claim = exercise(4, "lesson 6: g as a row, times a matrix with 1 - y^2 on its diagonal")


@claim("the gradient is what nudging says")
def _(a):
    nudged(a.my_tanh, (3, 4))


claim = exercise(5, "z^2 = x^2 + y^2, so 2 z dz = 2 x dx + 2 y dy")


@claim("both gradients are what nudging says")
def _(a):
    nudged(a.length, (3, 4), (3, 4))


@claim("also where one input is broadcast: the engine sees to that")
def _(a):
    nudged(a.length, (3, 4), (1, 4))


claim = exercise(6, "sum over what was copied: new axes vanish, stretched ones stay with length 1")


@claim("a row that was added to 5 x 4 rows")
def _(a):
    same(a.fit(np.ones((5, 4, 3)), (3,)), [20.0, 20.0, 20.0])


@claim("a column that was stretched")
def _(a):
    same(a.fit(np.ones((4, 3)), (4, 1)), np.full((4, 1), 3.0))


@claim("a number")
def _(a):
    same(a.fit(np.ones((4, 3)), ()), 12.0)


@claim("nothing is summed where nothing was copied")
def _(a):
    g = draw(2, 1, 3)
    same(a.fit(g, (2, 1, 3)), g)


@claim("all at once")
def _(a):
    g = draw(5, 4, 3)
    same(a.fit(g, (1, 3)), g.sum(axis=(0, 1)).reshape(1, 3))


claim = exercise(7, "a sum passes one g to both inputs, and of two results the newer goes first")


def gradients(answer, double):
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    answer.result(a, b, double).backward(np.ones(2))
    return {"a": a.grad, "b": b.grad}


def wrong_ones(answer):
    right, rude = gradients(answer, answer.double), gradients(answer, answer.rude_double)
    if any(grad is None for grad in right.values()):
        raise Wrong("the result does not depend on both a and b")
    return [name for name in right if not np.array_equal(right[name], rude[name])]


@claim("some gradient breaks")
def _(answer):
    if not wrong_ones(answer):
        raise Wrong("rude_double gives the same gradients as double")


@claim("whose it is")
def _(answer):
    says([answer.whose], wrong_ones(answer), "the one that breaks")


claim = exercise(8, "x_(i+1) is in y_i with 1, and x_i is in y_i with -1; contributions add")


@claim("the gradient is what nudging says")
def _(a):
    nudged(a.difference, (2, 5))


# --- 9 to 13: softmax and its relatives ------------------------------------------------------

claim = exercise(9, "take the largest out first; lesson 11, and the comment in functional.softmax")


@claim("rows sum to 1, and agree with functional.softmax")
def _(a):
    x = Tensor(draw(2, 3, 4))
    same(a.my_softmax(x), functional.softmax(x))


@claim("scores of a thousand are no trouble")
def _(a):
    with np.errstate(all="ignore"):
        found = a.my_softmax(Tensor([[1000.0, 999.0], [-1000.0, -999.0]]))
    same(found, [[0.731059, 0.268941], [0.268941, 0.731059]])


@claim("the gradient is what nudging says")
def _(a):
    nudged(a.my_softmax, (2, 3, 4))


claim = exercise(10, "xp.cumsum(descending, axis=-1) holds the sums of the k largest")


@claim("it agrees with functional.sparsemax, zeros and all")
def _(a):
    x = Tensor(draw(5, 6))
    same(a.my_sparsemax(x), functional.sparsemax(x))


@claim("the gradient is what nudging says")
def _(a):
    nudged(a.my_sparsemax, draw(5, 6))


claim = exercise(11, "log p = z - log(sum exp z); its slope in z_c, weighted by t, is t_c - p_c")


def targets(*shape):
    return functional.softmax(Tensor(draw(*shape, seed=1))).numpy()


@claim("it agrees with functional.cross_entropy")
def _(a):
    z, t = draw(4, 3), targets(4, 3)
    same(a.my_cross_entropy(Tensor(z), t), functional.cross_entropy(Tensor(z), t))


@claim("the gradient is what nudging says")
def _(a):
    nudged(lambda z: a.my_cross_entropy(z, targets(4, 3)), (4, 3))


@claim("for a stack of replicas as well")
def _(a):
    nudged(lambda z: a.my_cross_entropy(z, targets(4, 3)), (2, 4, 3))


claim = exercise(
    12, "take the mean away, and the part along `normal`; the deviation scales the rest"
)


@claim("the gradient is what nudging says")
def _(a):
    nudged(a.normalise, (3, 5))


@claim("a gradient along (1, 1, ...) goes nowhere")
def _(a):
    x = leaf(draw(3, 5))
    a.normalise(x).backward(np.ones((3, 5)))
    same(x.grad, np.zeros((3, 5)), "x.grad")


claim = exercise(13, "first through the relu, then as for x @ W: g @ W^T and x^T @ g")


@claim("all three gradients are what nudging says")
def _(a):
    nudged(a.linear_relu, (5, 3), (3, 4), (1, 4))


@claim("for a stack of replicas as well")
def _(a):
    nudged(a.linear_relu, (2, 5, 3), (2, 3, 4), (2, 1, 4))


# --- 14 to 16: training ----------------------------------------------------------------------

claim = exercise(
    14, "a running mean keeps the share `decay` of the old one; eps is for a root of 0"
)


@claim("the running mean of g^2 after two steps")
def _(a):
    w = leaf([1.0, 1.0])
    optimizer = a.RMSProp([w], lr=0.0, decay=0.75)
    for g in ([2.0, 4.0], [0.0, 8.0]):
        w.grad = np.array(g)
        optimizer.step()
    same(optimizer.square, [0.75, 19.0], "the mean of g^2")


@claim("all numbers move alike, however large their gradients are")
def _(a):
    w = leaf([1.0, 1.0, 1.0])
    optimizer = a.RMSProp([w], lr=0.1, decay=0.75)
    w.grad = np.array([1e-3, 1.0, -1e3])
    optimizer.step()
    same(w, [0.8, 0.8, 1.2], "w after a step")


@claim("it trains")
def _(a):
    w = leaf([3.0, -2.0])
    optimizer = a.RMSProp([w], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (w * w * np.array([1.0, 100.0])).sum().backward()
        optimizer.step()
    if not np.abs(w.data).max() < 0.1:
        raise Wrong(f"after 200 steps downhill to 0 w is {short(w.data)}")


claim = exercise(
    15, "axis=-1 is the last; None in an index makes an axis of length 1, which stretches"
)


@claim("the accuracy of one network")
def _(a):
    same(a.accuracy(np.array([[1.0, 2.0], [4.0, 3.0], [0.0, 1.0]]), np.array([1, 0, 0])), 2 / 3)


@claim("of replicas: one number each")
def _(a):
    scores, labels = draw(4, 6, 3), np.arange(6) % 3
    expected = [np.mean(z.argmax(axis=1) == labels) for z in scores]
    same(a.accuracy(scores, labels), expected)


@claim("squared distances, whatever leads")
def _(a):
    x, y = draw(2, 5, 3), draw(2, 4, 3, seed=1)
    expected = [[[((p - q) ** 2).sum() for q in ys] for p in xs] for xs, ys in zip(x, y)]
    same(a.squared_distances(x, y), expected)
    same(a.squared_distances(x[0], y[0]), expected[0])


claim = exercise(16, "axes meet from the right: that of the replicas is the one in front of (B, D)")


def stacked():
    return nn.stack([nn.Linear(3, 4, rng=k) for k in range(5)])


@claim("the parameters")
def _(a):
    says(a.weight, stacked().weight.shape, "the shape of the weight")
    says(a.bias, stacked().bias.shape, "the shape of the bias")


@claim("the results")
def _(a):
    for name, lead in (("shared", ()), ("own", (5,)), ("sampled", (7, 1))):
        x = Tensor(np.ones((*lead, 8, 3), "float32"))
        says(getattr(a, name), stacked()(x).shape, f"the shape of `{name}`")


@claim("the loss, and the gradients")
def _(a):
    z = stacked()(Tensor(np.ones((8, 3), "float32")))
    says(a.loss, functional.cross_entropy(z, np.arange(8) % 4).shape, "the shape of the loss")
    says(a.alone, True, "that")


# --- 17 to 20: noise, energies, spikes -------------------------------------------------------

claim = exercise(
    17, "log q(w) = -log sigma - (w - mu)^2 / (2 sigma^2) + ..., and so log p, with s and 0"
)


@claim("draws have the mean mu and the width softplus(rho)")
def _(a):
    w = a.draw(Tensor(2.0), Tensor(0.5), Tensor(draw(100_000))).numpy()
    sigma = math.log1p(math.exp(0.5))
    if abs(w.mean() - 2) > 0.02 or abs(w.std() - sigma) > 0.02:
        raise Wrong(f"mean {w.mean():.2f}, width {w.std():.2f}, not 2 and {sigma:.2f}")


@claim("a gradient reaches mu and rho")
def _(a):
    nudged(lambda mu, rho: a.draw(mu, rho, Tensor(draw(3, 4))), (3, 4), (3, 4))


@claim("the divergence from itself is 0")
def _(a):
    same(a.divergence(Tensor(0.0), Tensor(math.log(math.expm1(0.7))), 0.7), 0.0)


@claim("the divergence is the mean of log q - log p over draws")
def _(a):
    grid = np.linspace(-8, 8, 20_001)
    sigma, mu, s = math.log1p(math.exp(-0.3)), 0.8, 1.5

    def log_density(mean, width):
        return -((grid - mean) ** 2) / (2 * width**2) - math.log(width * math.sqrt(2 * math.pi))

    log_q, log_p = log_density(mu, sigma), log_density(0.0, s)
    expected = (np.exp(log_q) * (log_q - log_p)).sum() * (grid[1] - grid[0])
    same(a.divergence(Tensor(mu), Tensor(-0.3), s), expected)


claim = exercise(18, "backward starts from one number; no point changes the energy of another")


def bowl(x):
    return (x * x).sum(axis=-1) / 2


@claim("without noise a point goes downhill")
def _(a):
    x = draw(4, 2)
    same(a.step(bowl, x, 0.1, np.zeros_like(x)), x - 0.05 * x, "where they end")


@claim("the shaking has the variance `size`")
def _(a):
    x = np.zeros((4, 2))
    same(a.step(bowl, x, 0.25, np.ones_like(x)), x + 0.5, "where they end")


@claim("many steps give samples of exp(-E)")
def _(a):
    rng, x = np.random.default_rng(0), np.zeros((2000, 1))
    for _ in range(100):
        x = a.step(bowl, x, 0.1, rng.standard_normal(x.shape))
    if not abs(x.var() - 1) < 0.15:
        raise Wrong(f"their variance is {x.var():.2f}, not 1")


claim = exercise(19, "each step of a chain is a backward; see `frozen` in minigrad/nn/module.py")


def step_of_energy(a, guard):
    data, start = draw(8, 2).astype("float32"), 3 * draw(8, 2, seed=1).astype("float32")
    return a.gradient(a.Energy(2.0), data, start, guard)


@claim("with it w.grad is that of the contrast alone")
def _(a):
    data, x = draw(8, 2).astype("float32"), 3 * draw(8, 2, seed=1).astype("float32")
    for _ in range(10):
        x = x - 0.01 * 2.0 * x
    expected = (data**2).sum(axis=-1).mean() / 2 - (x**2).sum(axis=-1).mean() / 2
    same(step_of_energy(a, a.guard), expected, "w.grad")


@claim("how many backwards add to w.grad without it")
def _(a):
    calls, model = [], a.Energy(2.0)
    with minigrad.modes.watched(lambda v, kind, n, about: calls.append(about is model.w)):
        a.gradient(model, draw(8, 2), draw(8, 2, seed=1), a.nothing)
    # The contrast goes through w twice, for the data and for the ends; it is one backward.
    says(a.backwards, sum(calls) - 1, "their number")


@claim("where w ends up")
def _(a):
    unfrozen, frozen = (step_of_energy(a, guard) for guard in (a.nothing, nn.frozen))
    says(a.ends_up, "low" if unfrozen > frozen else "high", "the answer")


claim = exercise(
    20, "a comparison gives booleans: .astype(u.dtype); a neuron fires above its threshold"
)


@claim("spikes are exactly 0 or 1")
def _(a):
    u = Tensor(draw(20))
    fired = a.my_spike(u)
    same(fired, (u.numpy() > 0) * 1.0)
    says(str(fired.dtype), str(u.dtype), "the dtype")


@claim("the surrogate goes back")
def _(a):
    u, v = leaf(draw(20)), leaf(draw(20))
    g = draw(20, seed=1)
    a.my_spike(u, slope=3.0).backward(g)
    spike(v, slope=3.0).backward(g)
    same(u.grad, v.grad, "u.grad")


@claim("a neuron fires as that of spiking.py does, and learns as it does")
def _(a):
    currents = np.abs(draw(12)) * 0.7
    mine = [leaf([i]) for i in currents]
    spikes = a.neuron(mine, beta=0.8)
    theirs = leaf(currents.reshape(12, 1, 1))  # (T, B, H)
    expected = lif(theirs, steps=12, beta=0.8)
    same(np.concatenate([s.numpy() for s in spikes]), expected.numpy().ravel(), "the spike train")
    sum(s.sum() for s in spikes).backward()
    expected.sum().backward()
    same(np.concatenate([i.grad for i in mine]), theirs.grad.ravel(), "the currents' gradient")


# --- 21: a ninth architecture ----------------------------------------------------------------

claim = exercise(
    21, "a Tensor that requires a gradient is a parameter; x @ C^T are scalar products"
)


def ninth():
    if "ninth" not in ARCHITECTURES:
        raise Wrong('there is no architecture called "ninth"')
    return lookup("ninth").backbone(2, rng=0)


@claim("it makes features of points, whatever leads")
def makes_features(a):
    net = ninth()
    for lead in ((), (3,), (2, 3)):
        found = net(Tensor(draw(*lead, 7, 2).astype("float32"))).shape
        says(found, (*lead, 7, net.output_size), f"for {(*lead, 7, 2)} the result's shape")


@claim("a unit answers 1 at its centre, and less away from it")
def answers_to_nearness(a):
    with suppress(AttributeError):  # a network of one's own has no centres
        net = a.Radial(2, units=3, rng=0)
        same(np.diag(net(net.centres.detach()).numpy()), np.ones(3), "the answer at the centre")
        one_away = Tensor(net.centres.numpy() + np.array([1, 0], "float32"))
        same(np.diag(net(one_away).numpy()), np.full(3, math.exp(-0.5)), "the answer 1 away")


@claim("a gradient reaches every parameter")
def is_trained_whole(a):
    net = ninth()
    if not net.parameters():
        raise Wrong("it has no parameters: Tensor(..., requires_grad=True) makes one")
    net(Tensor(draw(7, 2).astype("float32"))).sum().backward()
    for name, parameter in net.named_parameters():
        if parameter.grad is None or not np.any(parameter.grad):
            raise Wrong(f"none reaches {name}")


@claim("it beats the MLP, in the mean over ten replicas, by the recipe that all share")
def beats_the_mlp(a):
    for earlier in (makes_features, answers_to_nearness, is_trained_whole):
        earlier(a)  # or there is nothing to train
    mine, mlp = accuracy("ninth"), accuracy("mlp")
    if not mine > mlp:
        raise Wrong(f"it gets {100 * mine:.1f} % of the points right, the MLP {100 * mlp:.1f} %")


def accuracy(name):
    """The mean over ten replicas, in a second or less."""
    from demos.comparison.rings_and_clusters import rings_and_clusters
    from demos.comparison.training import Entry, Recipe, train

    recipe = Recipe(seeds=tuple(range(10)))
    return np.mean(train(Entry(name, rings_and_clusters(recipe.seeds), recipe)).accuracy)
