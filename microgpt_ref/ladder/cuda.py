"""Rung 8 from Python: gpt.cu, compiled at first use, called through ctypes.

Where there is a GPU and nvcc, `train_cuda` runs on the GPU. Elsewhere g++ compiles the same file
with `kernels/cuda/cuda_on_cpu.h`, which runs the threads of a block on the processor, one after the
other: the same losses, and no idea of how long a GPU would take. Whatever becomes an index or a
length in CUDA is checked in Python before the call, as for the C rungs (`native.py`).
"""

import ctypes
import threading
from pathlib import Path

from ..kernels.cuda import native

SOURCE = Path(__file__).resolve().with_name("gpt.cu")
ONE_AT_A_TIME = threading.Lock()  # the header is one machine, which runs one launch


def train_cuda(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
    """Rung 8, gpt.cu in float32: (losses in nats, trained state_dict); see `microgpt_ref.ladder`.

    Raises ValueError for wrong input, FileNotFoundError without a compiler, MemoryError where there
    is too little memory, RuntimeError where the GPU fails, in its words.
    """
    library = compiled()
    how = (num_steps, batch_size, total_steps, n_head)
    with ONE_AT_A_TIME:
        return native.c.call(library, "f", state_dict, token_docs, *how)


def compiled(mode="plain") -> ctypes.CDLL:
    """gpt.cu as a loaded library. mode: "plain", "traffic" or "address", as `load` in
    `kernels/cuda/native.py` has it. Raises FileNotFoundError without a compiler."""
    if missing := native.available():
        raise FileNotFoundError(missing)
    library = native.load(SOURCE, mode).library
    library.launch_error.restype = ctypes.c_char_p

    def checked(code, *_):
        if code == 3:
            raise RuntimeError(library.launch_error().decode(errors="replace"))
        return code

    library.train.errcheck = checked
    return library
