"""Spikes: the op whose derivative is useless, and the neuron that fires them through time.

A spike is a step, S = 1 where U > threshold and 0 elsewhere. Its derivative is 0 almost everywhere,
so nothing would ever be learned. Backward uses a surrogate instead, the derivative of a smooth
function near the step (Neftci, Mostafa & Zenke 2019): these two ops are the only ones in minigrad
whose vjp is, on purpose, not their derivative. With ``soft=True`` they fire that smooth function's
values and, if the reset is not detached, their gradient is true and can be checked.

    U[t] = beta U[t-1] + I[t] - threshold S[t-1]       leaky integrate-and-fire (LIF)
    S[t] = 1 where U[t] > threshold

Time is the axis before the batch: (..., T, B, H). `lif` does all timesteps in one op; for neurons
that are reset in another way, `lif_by_steps` is the same composed of plain ones.
"""

from functools import lru_cache
from itertools import pairwise, repeat

from . import backend
from .backend import Kernel, xp
from .checks import check_flags, check_numbers, check_positive, check_shares, check_sizes
from .engine import Tensor, op
from .functional.shared import require_floats
from .ops import stack

# Ops whose vjp is, on purpose, not their derivative, and why.
NOT_A_TRUE_GRADIENT = {
    "spike": "a step's derivative is 0: a surrogate takes its place (Neftci et al. 2019)",
    "lif": "its spikes are steps; with soft spikes and no detached reset its gradient is true",
}

# The surrogate derivatives h(u) of u = U - threshold. What backward needs is g h = g / (1 / h), and
# these are the largest arrays of a spiking network: so u is overwritten by 1 / h(u).


def invert_fast_sigmoid_(u, slope):
    """1 / h(u) = (1 + slope |u|)^2 (Zenke & Ganguli 2018), written into u."""
    xp.abs(u, out=u)
    u *= slope
    u += 1
    u *= u
    return u


def invert_arctan_(u, slope):
    """1 / h(u) = 1 + (slope u)^2 (Fang et al. 2021, up to scale), written into u."""
    u *= slope
    u *= u
    u += 1
    return u


# name: (1 / h in place, the antiderivative of h). The slope h(0) is 1.
SURROGATES = {
    "fast_sigmoid": (invert_fast_sigmoid_, lambda u, slope: 0.5 + u / (1 + slope * xp.abs(u))),
    "arctan": (invert_arctan_, lambda u, slope: 0.5 + xp.arctan(slope * u) / slope),
}


@lru_cache  # the same ones are asked for in every step
def check_surrogate(name, slope, **flags):
    """Raise a ValueError for a name that is not in SURROGATES, or a slope that is not above 0; a
    TypeError for flags that are neither True nor False."""
    check_flags(**flags)
    if name not in SURROGATES:
        raise ValueError(f"unknown surrogate {name!r}: choose one of {', '.join(SURROGATES)}")
    check_positive(slope=slope)


@op
def spike(u, surrogate="fast_sigmoid", slope=10.0, soft=False):
    """1 where u > 0, else 0. Its vjp is g times the surrogate derivative at u."""
    require_floats(u)
    check_surrogate(surrogate, slope, soft=soft)
    invert_, smooth = SURROGATES[surrogate]
    value = smooth(u, slope) if soft else (u > 0).astype(u.dtype)
    return value, lambda g: g / invert_(u.copy(), slope)


def by_time(x):
    """(T, ...), the slices of (..., T, B, H) in the order of time: a view.

    Several leading axes change places, in all arrays of a scan alike.
    """
    return x.swapaxes(0, -3)


@lru_cache
def _require_numbers(steps, beta, threshold):
    check_sizes(steps=steps)
    check_shares(beta=beta)
    check_positive(threshold=threshold)


def _require_neurons(current, steps, beta, threshold, initial=0.0):
    """Raise TypeError or ValueError for what no such neurons are."""
    require_floats(current)
    if type(initial) is not float and not hasattr(initial, "ndim"):
        check_numbers(initial=initial)
    _require_numbers(steps, beta, threshold)
    if current.ndim < 3:
        raise ValueError(f"a current has the shape (..., T, B, H), not {current.shape}")
    if current.shape[-3] not in (1, steps):
        raise ValueError(f"a current of {current.shape[-3]} timesteps does not fit steps={steps}")


def lif_trace(current, steps, beta, threshold=1.0, initial=0.0, smooth=None):
    """Membrane potentials U and spikes S, each (..., T, B, H), of arrays: the forward scan.

    `current` is (..., T, B, H), or (..., 1, B, H) for a current that stays the same; `initial` is
    the potential before the first step: a number, or an array (..., B, H) that goes on from an
    earlier scan, so that above the threshold it has just fired. `smooth(u)` replaces the step by a
    soft spike.
    """
    _require_neurons(current, steps, beta, threshold, initial)
    if getattr(initial, "ndim", 0):
        current, initial = _with_start(current, steps, beta, threshold, initial, smooth), 0.0
    *lead, given, batch, width = current.shape
    if smooth is None and backend.device() != "cpu":
        sizes = given, steps, batch * width
        membrane = xp.lif_membrane(current, *sizes, beta, threshold, initial)
        spikes = xp.greater(membrane, threshold, out=xp.empty_like(membrane))
    else:
        membrane = xp.empty((*lead, steps, batch, width), current.dtype)
        spikes = xp.empty_like(membrane)
        _fire_through_time(current, membrane, spikes, beta, threshold, initial, smooth)
    return membrane, spikes


def _with_start(current, steps, beta, threshold, initial, smooth):
    """The current whose first timestep alone leads to the first potential, from nothing: so that a
    scan, which begins with a number, may begin with an array."""
    *lead, _, batch, width = current.shape
    whole = xp.empty((*lead, steps, batch, width), current.dtype)
    whole[...] = current
    first = initial * beta + current[..., 0, :, :]
    fired = initial > threshold if smooth is None else smooth(initial - threshold)
    first -= threshold * fired.astype(current.dtype)
    whole[..., 0, :, :] = first
    return whole


def _fire_through_time(current, membrane, spikes, beta, threshold, initial, smooth=None):
    """Fill in membrane and spikes, one timestep after the other."""
    steps = membrane.shape[-3]
    given = current.shape[-3]
    currents = by_time(current) if given == steps else repeat(by_time(current)[0])
    u_before, s_before = initial, 0.0
    for i, u, s in zip(currents, by_time(membrane), by_time(spikes)):
        xp.multiply(u_before, beta, out=u)
        u += i
        u -= s_before if threshold == 1 else threshold * s_before  # one array fewer
        if smooth is None:
            xp.greater(u, threshold, out=s)
        else:
            s[...] = smooth(u - threshold)
        u_before, s_before = u, s


@Kernel(
    "raw T current, int64 given, int64 steps, int64 neurons, T beta, T threshold, T initial",
    "raw T membrane",
    """
    // Thread i follows one neuron through time.
    const long long lead = i / neurons, k = i % neurons;
    T u = initial, s = 0;
    for (long long t = 0; t < steps; ++t) {
        u = u * beta + current[(lead * given + t % given) * neurons + k] - threshold * s;
        s = u > threshold;
        membrane[(lead * steps + t) * neurons + k] = u;
    }
    """,
    threads=lambda current, given, steps, *_: (
        current.size // given,
        (*current.shape[:-3], steps, *current.shape[-2:]),
    ),
)
def lif_membrane(current, given, steps, neurons, beta, threshold, initial):
    """The membrane potentials alone: where one is above the threshold there is a spike."""
    *lead, _, batch, width = current.shape
    membrane = xp.empty((*lead, steps, batch, width), current.dtype)
    _fire_through_time(current, membrane, xp.empty_like(membrane), beta, threshold, initial)
    return membrane


@Kernel(
    "raw T x, int64 steps, int64 neurons, T beta",
    "raw T d",
    """
    const long long lead = i / neurons, k = i % neurons;
    T later = 0;
    for (long long t = steps - 1; t >= 0; --t) {
        const long long here = (lead * steps + t) * neurons + k;
        d[here] = later = x[here] + beta * later;
    }
    """,
    threads=lambda x, steps, *_: (x.size // steps, x.shape),
)
def decaying_sum(x, steps, neurons, beta, out):
    """d[t] = x[t] + beta d[t+1], from the last timestep to the first, in place: x is d."""
    for later, now in pairwise(by_time(out)[::-1]):
        now += beta * later
    return out


@op
def lif(
    current,
    steps,
    beta,
    threshold=1.0,
    surrogate="fast_sigmoid",
    slope=10.0,
    detach_reset=True,
    soft=False,
    initial=0.0,
    membrane=False,
):
    """The spikes of LIF neurons: a current (..., T, B, H) or (..., 1, B, H) -> (..., T, B, H).

    Fused, because T small steps of four operations each would be recorded one by one.

    Args:
        steps: T.
        beta: decay of the membrane per timestep, exp(-1 / tau).
        threshold: where the neuron fires, in units of the membrane potential.
        surrogate, slope: see SURROGATES.
        detach_reset: treat the reset as a constant in backward.
        soft: fire the surrogate's antiderivative instead of a step.
        initial: the potential before the first timestep, at rest; or an array (..., B, H), the last
            one of an earlier call, ``u.data[..., -1, :, :]``, to go on from there. No gradient
            goes back that way.
        membrane: whether to return the potentials U in place of the spikes, which are
            ``spike(u - threshold)``.
    """
    check_surrogate(surrogate, slope, detach_reset=detach_reset, soft=soft, membrane=membrane)
    invert_, smooth = SURROGATES[surrogate]
    potential, spikes = lif_trace(
        current,
        steps,
        beta,
        threshold,
        initial,
        smooth=(lambda u: smooth(u, slope)) if soft else None,
    )

    def vjp(g):
        # Let d[t] be dL/dU[t], which is dL/dI[t], too, and h[t] the surrogate at U[t] - threshold,
        # in place of dS[t]/dU[t]. U[t] acts through S[t], with h[t], and through U[t+1], in which
        # is beta U[t] - threshold S[t]:
        #   d[t] = g[t] h[t] + (beta - threshold h[t]) d[t+1].
        # The second term in the bracket is the way through the reset: detach_reset leaves it out.
        # (With U as the result, g[t] stands in place of g[t] h[t]. Where one timestep of current
        # was there for all, the engine sums d over them, as after any broadcasting.)
        # Unless U was returned nobody needs it any more: its array (..., T, B, H) becomes, in turn,
        d = potential.copy() if membrane else potential  # U
        d -= threshold  # u = U - threshold
        invert_(d, slope)  # 1 / h(u)
        # The bracket, (T - 1, ..., B, H), from the last timestep but one to the first.
        keep = None if detach_reset else by_time(beta - threshold / d)[-2::-1]
        # g h: and d itself at the last timestep, from where on it is summed.
        xp.divide(g, 1.0 if membrane else d, out=d)
        if keep is None:
            *_, batch, width = d.shape
            xp.decaying_sum(d, steps, batch * width, beta, out=d)
        else:
            for (later, now), k in zip(pairwise(by_time(d)[::-1]), keep):
                now += k * later
        return d

    return potential if membrane else spikes, vjp


RESETS = {
    "subtract": lambda u, s, threshold: u - threshold * s,
    "zero": lambda u, s, threshold: u * (1 - s),
}


def lif_by_steps(
    current,
    steps,
    beta,
    threshold=1.0,
    surrogate="fast_sigmoid",
    slope=10.0,
    detach_reset=True,
    soft=False,
    initial=0.0,
    reset="subtract",
    delayed=True,
):
    """(membrane potentials, spikes), as Tensors, of neurons composed of plain ops: what `lif` does,
    and easy to change, but T times as many ops. The arguments are those of `lif`, and

    initial: may be a Tensor, into which the gradient goes on.
    reset: "subtract" the threshold after a spike, or go to "zero".
    delayed: whether the reset acts one timestep later, when the next current has come; otherwise
        at once, so that what is left of the potential decays.
    """
    if reset not in RESETS:
        raise ValueError(f"unknown reset {reset!r}: choose one of {', '.join(RESETS)}")
    _require_neurons(current, steps, beta, threshold, initial)
    check_flags(detach_reset=detach_reset, delayed=delayed)

    def fire(u):
        return spike(u - threshold, surrogate=surrogate, slope=slope, soft=soft)

    def after(u, s):
        return RESETS[reset](u, s.detach() if detach_reset else s, threshold)

    membrane, spikes = [], []
    *lead, _, batch, width = current.shape
    rest = xp.zeros((*lead, batch, width), current.dtype)
    u = initial + rest
    s = fire(u) if getattr(initial, "ndim", 0) else Tensor(rest)
    for t in range(steps):
        i = current[..., t % current.shape[-3], :, :]
        u = after(beta * u + i, s) if delayed else beta * after(u, s) + i
        s = fire(u)
        membrane.append(u)
        spikes.append(s)
    return stack(membrane, axis=-3), stack(spikes, axis=-3)


def leaky(current, beta):
    """The potentials of neurons that do not fire, U[t] = beta U[t-1] + I[t]: (..., T, B, H) -> the
    same. They are sums, U[t] = sum_s beta^(t-s) I[s] over s <= t: one product with a matrix."""
    _require_neurons(current, current.shape[-3] if current.ndim > 2 else 1, beta, 1.0)
    *lead, steps, batch, width = current.shape
    t = xp.arange(steps)
    age = t[:, None] - t
    weights = xp.where(age >= 0, beta ** xp.maximum(age, 0), 0).astype(current.dtype)
    return (weights @ current.reshape(*lead, steps, batch * width)).reshape(current.shape)
