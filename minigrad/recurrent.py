"""What runs through time, one step after the other: a GRU's scan and the selective scan.

Each is one op, because T small steps of some ten operations each would be recorded one by one. Its
forward and its way back are one loop over time each; whatever does not need the step before is done
for all timesteps at once. Time is the axis before the batch: (..., T, B, H).
"""

from .backend import Kernel, xp
from .engine import op
from .functional.shared import once, require_floats

# --- the gated recurrent unit ----------------------------------------------------------------


@op
def gru(x, weight):
    """The states of gated recurrent units, which begin at 0 before the first timestep.

    (..., T, B, 3H), (..., H, 3H) -> (..., T, B, H): Cho et al. 2014, Eqs. 5-8. x = [x_z, x_r, x_c]
    is the inputs' share of three sums, `weight` = [U_z, U_r, U] what the state before is times:

        z = sigmoid(x_z + h[t-1] U_z)           how much of the state is kept
        r = sigmoid(x_r + h[t-1] U_r)           how much of it the candidate sees
        c = tanh(x_c + (r * h[t-1]) U)          the candidate
        h[t] = z * h[t-1] + (1 - z) * c
    """
    z, r, c, h = gru_trace(x, weight)
    *_, steps, _, width = c.shape
    before = h[..., :-1, :, :]
    gates, candidate = weight[..., : 2 * width], weight[..., 2 * width :]

    @once
    def sums(g):
        """dL/d of the three sums, (..., T, B, 3H)."""
        # With d = dL/dh[t], all that h[t] has led to, and m = r * h[t-1]:
        #   dL/d(sum of c) = d (1 - z) (1 - c^2)
        #   dL/dm          = dL/d(sum of c) U^T
        #   dL/d(sum of r) = dL/dm h[t-1] r (1 - r)
        #   dL/d(sum of z) = d (h[t-1] - c) z (1 - z)
        #   dL/dh[t-1]     = g[t-1] + d z + dL/dm r + [dL/d(sum of z), dL/d(sum of r)] [U_z, U_r]^T
        to_z = (before - c) * z * (1 - z)
        to_r = before * r * (1 - r)
        to_c = (1 - z) * (1 - c * c)
        out = xp.empty_like(x)
        d = 0
        for t in reversed(range(steps)):
            now = (..., t, slice(None), slice(None))
            d = g[now] + d
            d_c = d * to_c[now]
            d_m = d_c @ candidate.mT
            d_gates = xp.concatenate([d * to_z[now], d_m * to_r[now]], axis=-1)
            out[..., t, :, : 2 * width] = d_gates
            out[..., t, :, 2 * width :] = d_c
            d = d * z[now] + d_m * r[now] + d_gates @ gates.mT
        return out

    def vjp_weight(g):
        """What was multiplied by U_z and U_r is h[t-1], by U it is r * h[t-1]."""
        d = as_rows(sums(g))
        by_gates = as_rows(before).mT @ d[..., : 2 * width]
        by_candidate = as_rows(r * before).mT @ d[..., 2 * width :]
        return xp.concatenate([by_gates, by_candidate], axis=-1)

    return h[..., 1:, :, :], sums, vjp_weight


def gru_trace(x, weight):
    """The gates z and r, the candidate c, (..., T, B, H) each, and the states h, (..., T + 1, B, H)
    from the initial one on, of arrays: see `gru`."""
    require_floats(x)
    *lead, steps, batch, width = x.shape
    if width != weight.shape[-1] or width != 3 * weight.shape[-2]:
        raise ValueError(
            "gru takes x (..., T, B, 3H) and a weight (..., H, 3H), "
            f"not {x.shape} and {weight.shape}"
        )
    require_leading_axes(lead, weight.shape[:-2])
    width //= 3
    gates, candidate = weight[..., : 2 * width], weight[..., 2 * width :]
    z, r, c = (xp.empty((*lead, steps, batch, width), x.dtype) for _ in range(3))
    h = xp.empty((*lead, steps + 1, batch, width), x.dtype)
    h[..., 0, :, :] = 0
    state = xp.zeros((*lead, batch, width), x.dtype)
    for t in range(steps):
        now = (..., t, slice(None), slice(None))
        both = xp.logistic(x[..., t, :, : 2 * width] + state @ gates)
        keep, see = both[..., :width], both[..., width:]
        new = xp.tanh(x[..., t, :, 2 * width :] + (see * state) @ candidate)
        state = new + keep * (state - new)
        z[now], r[now], c[now] = keep, see, new
        h[..., t + 1, :, :] = state
    return z, r, c, h


def require_leading_axes(lead, others):
    """Raise a ValueError if those of weights are not among those of x, which the result has."""
    if len(others) > len(lead) or any(n not in (1, m) for n, m in zip(others[::-1], lead[::-1])):
        raise ValueError(
            f"a weight with the leading axes {others} needs an x that has them, too, not "
            f"{tuple(lead)}: ops.broadcast_to"
        )


def as_rows(x):
    """(..., T, B, H) -> (..., T B, H)."""
    *lead, steps, batch, width = x.shape
    return x.reshape(*lead, steps * batch, width)


# --- the selective scan ----------------------------------------------------------------------


@op
def selective_scan(x, step, A, B, C):
    """A linear system whose time step, input and output change in time (Gu & Dao 2023, Alg. 2).

    E channels have N states each. Channel e is driven by x and follows, state by state,

        dh/dt = A h + B x,      y = C h             A < 0, different for each channel and state

    where x, B and C are held for a time `step` (a zero-order hold). Over it h moves towards the
    fixed point -B x / A, by the share 1 - exp(step A) of the way; with e = exp(step A) - 1,

        h[t] = h[t-1] + e (h[t-1] + B x / A),       y[t] = sum_n C_n h_n[t]

    which is their Eqs. 2 and 4, h[t] = exp(step A) h[t-1] + (exp(step A) - 1) / A B x.

    Args:
        x, step: (..., T, B, E).
        A: (..., N, E).
        B, C: (..., T, B, N), the same for all channels.

    Returns:
        y, (..., T, B, E).
    """
    require_floats(x)
    states, channels = A.shape[-2:]
    if not x.shape[-1] == step.shape[-1] == channels or not B.shape[-1] == C.shape[-1] == states:
        raise ValueError(
            f"A of shape {A.shape} has {states} states of each of {channels} channels: x and step "
            f"(..., T, B, {channels}), B and C (..., T, B, {states}) are expected, not {x.shape}, "
            f"{step.shape}, {B.shape} and {C.shape}"
        )
    rate, time = A[..., None, None, :, :], (1 / A)[..., None, None, :, :]  # (..., 1, 1, N, E)
    e = xp.expm1(step[..., None, :] * rate)  # (..., T, B, N, E)
    w = B[..., None] * x[..., None, :] * time
    *lead, steps, batch, _, _ = e.shape
    neurons = batch * states * channels
    h = xp.empty((*lead, steps + 1, batch, states, channels), e.dtype)
    h[..., 0, :, :, :] = 0
    h = xp.relax(e, w, steps, neurons, out=h)
    before, after = h[..., :-1, :, :, :], h[..., 1:, :, :, :]

    @once
    def adjoint(g):
        """d[t] = dL/dh[t] = C[t] g[t] + (1 + e[t+1]) d[t+1]."""
        d = C[..., None] * g[..., None, :]
        return xp.relax_back(e, d, steps, neurons, out=d)

    @once
    def by_w(g):
        """dL/dw, where w = B x / A."""
        return adjoint(g) * e

    @once
    def by_drive(g):
        """dL/d(B x)."""
        return by_w(g) * time

    @once
    def by_exponent(g):
        """dL/d(step A), since de = (1 + e) d(step A)."""
        return adjoint(g) * (before + w) * (1 + e)

    def vjp_A(g):
        # A stands in the exponent, and in w, for which dw = -w / A dA.
        through_w = (by_w(g) * w).sum(axis=(-4, -3))
        return (by_exponent(g) * step[..., None, :]).sum(axis=(-4, -3)) - through_w / A

    return (
        (C[..., None, :] @ after)[..., 0, :],
        lambda g: (B[..., None, :] @ by_drive(g))[..., 0, :],
        lambda g: (by_exponent(g) * rate).sum(axis=-2),
        vjp_A,
        lambda g: (by_drive(g) @ x[..., None])[..., 0],
        lambda g: (after @ g[..., None])[..., 0],
    )


@Kernel(
    "raw T e, raw T w, int64 steps, int64 neurons",
    "raw T h",
    """
    // Thread i follows one state through time; h begins with the initial states.
    const long long lead = i / neurons, k = i % neurons;
    T state = h[lead * (steps + 1) * neurons + k];
    for (long long t = 0; t < steps; ++t) {
        const long long here = (lead * steps + t) * neurons + k;
        state = state + e[here] * (state + w[here]);
        h[(lead * (steps + 1) + t + 1) * neurons + k] = state;
    }
    """,
    threads=lambda e, w, steps, neurons: (e.size // steps,),
)
def relax(e, w, steps, neurons, out):
    """h[t+1] = h[t] + e[t] (h[t] + w[t]) through time, into `out` (..., T + 1, B, N, E)."""
    state = out[..., 0, :, :, :] + 0
    for t in range(steps):
        state = state + e[..., t, :, :, :] * (state + w[..., t, :, :, :])
        out[..., t + 1, :, :, :] = state
    return out


@Kernel(
    "raw T e, raw T x, int64 steps, int64 neurons",
    "raw T d",
    """
    const long long lead = i / neurons, k = i % neurons;
    T later = 0, share = 0;
    for (long long t = steps - 1; t >= 0; --t) {
        const long long here = (lead * steps + t) * neurons + k;
        d[here] = later = later + share * later + x[here];
        share = e[here];
    }
    """,
    threads=lambda e, x, steps, neurons: (e.size // steps,),
)
def relax_back(e, x, steps, neurons, out):
    """d[t] = x[t] + (1 + e[t+1]) d[t+1], from the last timestep to the first, in place: x is d."""
    later = out[..., -1, :, :, :] + 0
    for t in reversed(range(steps - 1)):
        later = later + e[..., t + 1, :, :, :] * later + out[..., t, :, :, :]
        out[..., t, :, :, :] = later
    return out


# --- a short memory --------------------------------------------------------------------------


@op
def causal_convolution(x, weight):
    """y[t] = sum_k weight[k] x[t - K + 1 + k], each feature by itself; x is 0 before its beginning.

    (..., T, B, E), (..., K, E) -> (..., T, B, E). Fused for speed: each slice that an op takes
    sends back an array of zeros.
    """
    *lead, steps, batch, width = x.shape
    length = weight.shape[-2]
    if weight.shape[-1] != width or not length:
        raise ValueError(
            f"x of shape {x.shape} needs a weight (..., K, {width}) with K > 0, not {weight.shape}"
        )
    require_leading_axes(lead, weight.shape[:-2])
    taps = [weight[..., k, None, None, :] for k in range(length)]
    nothing = xp.zeros((*lead, length - 1, batch, width), x.dtype)

    def shifted(x):
        """K views of T timesteps, each one timestep later, of (..., T + K - 1, B, E)."""
        return [x[..., k : k + steps, :, :] for k in range(length)]

    def weighted(taps, parts):
        y = taps[0] * parts[0]
        for tap, part in zip(taps[1:], parts[1:]):
            y += tap * part
        return y

    past = shifted(xp.concatenate([nothing, x], axis=-3))

    def vjp_x(g):
        # x[t] is in y[t + K - 1 - k] with weight[k]: the taps the other way round, over what comes.
        return weighted(taps[::-1], shifted(xp.concatenate([g, nothing], axis=-3)))

    def vjp_weight(g):
        return xp.stack([(g * part).sum(axis=(-3, -2)) for part in past], axis=-2)

    return weighted(taps, past), vjp_x, vjp_weight
