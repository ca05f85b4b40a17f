"""How fast could it be? Operations and bytes of a training step, by hand, and what a core can do.

The roofline (Williams, Waterman and Patterson, 2009) is two limits in one picture. A program cannot
compute faster than the core multiplies and adds. And it cannot compute faster than numbers arrive:
one that does I operations for each byte it moves gets at most I times the bandwidth. Which limit
counts is decided by I, the *arithmetic intensity*.

The first two functions count, the next ones measure this machine through `peak.c`, the last ones
put both together. Units: FLOPs (a multiply-add is two of them), bytes, seconds.
"""

import ctypes
import time
from array import array

from microgpt_ref.ladder import native

# ---- counting --------------------------------------------------------------------------------


def multiply_adds(n: int, *, vocab_size=27, n_embd=16, n_layer=1) -> int:
    """The multiply-adds of the forward pass for n positions, matrices and attention.

    A layer has 12 C^2 weights (4 C^2 of attention, 8 C^2 of the MLP), and each is used once for
    each position; so are the V C of the head. Position t compares its query with t + 1 keys and
    mixes t + 1 values, of C numbers each.
    """
    matrices = n * (12 * n_embd**2 * n_layer + vocab_size * n_embd)
    pairs = n * (n + 1) // 2
    return matrices + 2 * pairs * n_embd * n_layer


def step_flops(n: int, **sizes) -> int:
    """The FLOPs of a training step on n positions: the backward pass takes twice the forward.

    For each product in the forward there are two in the backward, towards the input and towards the
    weight. Adam, norms, softmax and ReLU are left out: they are fewer, and no two programs count
    them alike.
    """
    return 2 * 3 * multiply_adds(n, **sizes)


def mean_flops(token_docs, block_size=16, **sizes) -> float:
    """The mean of step_flops over documents. Raises ValueError where there is nothing to learn."""
    if min(map(len, token_docs), default=0) < 2:
        raise ValueError("token_docs must hold a document, and each document two tokens or more.")
    flops = [step_flops(min(block_size, len(tokens) - 1), **sizes) for tokens in token_docs]
    return sum(flops) / len(flops)


def parameter_bytes(parameters: int, number_size: int) -> int:
    """The bytes that a training step moves for its parameters, whatever the batch.

    Each parameter is read by the forward and by the backward pass. Its gradient is written, and
    read by Adam. Adam reads and writes both moments and the parameter itself: ten times in all.
    """
    return 10 * parameters * number_size


# ---- measuring -------------------------------------------------------------------------------


def peak_flops(seconds: float = 0.2) -> float:
    """The most float32 FLOPs a second of one core, measured: the best of five tries."""
    library = native.compiled(native.HERE / "peak.c", *native.FAST, native.FUSED)
    result = array("f", [0.0])
    at = ctypes.c_void_p(result.buffer_info()[0])

    def work(rounds):
        return 2 * 12 * rounds * library.multiply_add(ctypes.c_longlong(rounds), at)

    return _best_rate(work, seconds)


def bandwidth(size: int, seconds: float = 0.2) -> float:
    """The most bytes a second that one core reads from a block of `size` bytes, over and over.

    A block of 16 KB stays in the first cache, one of 256 KB in the second, one of 256 MB in none.
    Raises ValueError for less than 512 bytes.
    """
    if size < 512:
        raise ValueError(f"size is {size} bytes; give 512 or more, a sweep of the eight vectors.")
    library = native.compiled(native.HERE / "peak.c", *native.FAST, native.FUSED)
    count = size // 512 * 128  # numbers; whole sweeps of eight vectors
    block, result = array("f", bytes(4 * count + 64)), array("f", [0.0])
    start = -(-block.buffer_info()[0] // 64) * 64

    def work(rounds):
        library.read_all(
            ctypes.c_void_p(start),
            ctypes.c_longlong(count),
            ctypes.c_longlong(rounds),
            ctypes.c_void_p(result.buffer_info()[0]),
        )
        return 4 * count * rounds

    return _best_rate(work, seconds)


def _best_rate(work, seconds):
    """The best of five tries, each of about a fifth of the time; work(rounds) says what it did."""
    rounds = 1
    while True:
        began = time.process_time()
        amount = work(rounds)
        took = time.process_time() - began
        if took > seconds / 10:
            break
        rounds *= 4
    best = amount / took
    for _ in range(4):
        began = time.process_time()
        amount = work(rounds)
        best = max(best, amount / (time.process_time() - began))
    return best


# ---- the roofline ----------------------------------------------------------------------------


def attainable(flops_per_byte: float, peak: float, bandwidth: float) -> float:
    """The most FLOPs a second at this intensity: the lower of the two limits."""
    return min(peak, flops_per_byte * bandwidth)


def floor_seconds(token_docs, peak: float, **sizes) -> float:
    """No program takes less for one document: its multiply-adds, at the peak of the core.

    Raises ValueError for a peak that is not above 0.
    """
    if not peak > 0:
        raise ValueError(f"peak is {peak}; give FLOPs a second, above 0.")
    return mean_flops(token_docs, **sizes) / peak
