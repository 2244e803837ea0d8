"""Where the arrays of a program lie: parts of one stretch of memory, each for a time."""

from bisect import insort

from .. import backend
from ..backend import address, xp
from .calls import ALLOCATIONS, COPIES, Value, can_write, ufunc_of
from .graph import NOT_CAPTURED
from .passes import touches


def share_buffers(calls, contents, outlive):
    """Give each array that a call makes a place in one stretch of memory, for as long as it is
    needed; return the bytes of that.

    So a replay allocates nothing, and what it reads has just been written, in the cache. A function
    that works element by element may write over an argument that nobody needs afterwards.
    """
    kept, homes = {value.root for value in outlive}, {}
    lent: dict[Value, Loan] = {}
    last_needed: dict[int, list[Value]] = {}  # {index of a call: roots that nobody needs after it}
    for root, indices in touches(calls).items():
        if root not in kept:
            last_needed.setdefault(indices[-1], []).append(root)
    for i, call in enumerate(calls):
        value, done = call.result, last_needed.get(i, ())
        if has_home(call):
            free = (root for root in done if root in lent and may_write_over(call, root))
            over = next(free, None)
            lent[value] = homes[value] = lent.pop(over) if over else Loan(value, i)
        for root in done:
            if root in lent:
                lent.pop(root).end = i
    for loan in lent.values():
        loan.end = len(calls)
    size = lay_out(dict.fromkeys(homes.values()))
    whole = xp.empty(size + LINE, "uint8")
    whole = whole[-address(whole) % LINE :]
    contents |= {value: array_in(whole[loan.at :], value) for value, loan in homes.items()}
    return size


LARGE = 1 << 15
LINE = 64  # bytes of the cache: an array that begins with a line takes 10 % less in many calls


class Loan:
    """Memory for one Value, or for several that are written over one another: `size` bytes from
    `at` on, needed by the calls from `begin` to `end`."""

    def __init__(self, value, begin):
        self.size = -(-max(value.nbytes, 1) // LINE) * LINE
        self.begin = self.end = begin
        self.at = 0


def lay_out(loans):
    """Choose where each begins, the largest first, as low as others leave room at that time; return
    the bytes of all."""
    placed: list[Loan] = []  # in the order of their addresses
    for loan in sorted(loans, key=lambda loan: -loan.size):
        for other in placed:
            if other.begin <= loan.end and loan.begin <= other.end:
                if other.at - loan.at >= loan.size:
                    break
                loan.at = max(loan.at, other.at + other.size)
        insort(placed, loan, key=lambda loan: loan.at)
    return max((loan.at + loan.size for loan in placed), default=0)


def has_home(call):
    """Whether the result of a call is put into a buffer. On a GPU a graph has memory for what
    cannot be told where to go."""
    if call.writes or call.is_view or call.result.shape is None:
        return False
    name = ufunc_of(call) or call.name
    filled = name in ALLOCATIONS | COPIES | NOT_CAPTURED
    return backend.device() == "cpu" or filled or can_write(call)


def may_write_over(call, root):
    """Whether a call may put its result into the memory of an argument. Where that is small there
    is little to save, and NumPy asks at each call whether the two overlap in a way that does harm:
    5 % of a step of the MLP or of TabNet."""
    value = call.result
    return (
        root.nbytes >= LARGE
        and ufunc_of(call) not in (None, "matmul")
        and (root.shape, root.dtype, root.strides) == (value.shape, value.dtype, value.strides)
        and all(v is root for v in call.reads if v.root is root)
    )


def array_in(block, value):
    """An array where a block begins, of the shape, the dtype and the order of axes of a Value."""
    if value.is_in_order:
        return block[: value.nbytes].view(value.dtype).reshape(value.shape)
    axes = sorted(range(len(value.shape)), key=lambda i: -value.strides[i])
    shape = [value.shape[i] for i in axes]
    whole = block[: value.nbytes].view(value.dtype).reshape(shape)
    return whole.transpose([axes.index(i) for i in range(len(axes))])
