"""The ladder: one model, trained by many programs, each faster than the one below it.

A rung trains the same model from the same parameters on the same documents in the same order,
through one function:

    train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None)
        -> (losses, state_dict)

`textbook.py` is the slowest, the 1x that the others are measured against. Its 1,000 losses on
`names.txt` are stored in `trace.txt`. Every other rung must print the same four digits: to 1e-9 in
float64, to 1e-4 in float32. `RUNGS` lists them all, for whoever tests or times them; a new rung is
a file in this folder and a line here.

Up to 6 they run on one core. The two above are made for a GPU. Without one they run as well, in
Triton's interpreter and through `kernels/cuda/cuda_on_cpu.h`: right, and not to be timed. With one,
`course bench --gpu` times them.
"""

from typing import NamedTuple


class Rung(NamedTuple):
    """One program on the ladder. Imports nothing until somebody asks for its `train`."""

    number: str  # its place: "0", "3"; "" for the 1x
    name: str  # unique, in words
    file: str  # what a reader opens, seen from microgpt_ref/
    train: str  # "module:function", seen from microgpt_ref
    dtype: str = "float64"
    needs: str = ""  # what a machine may lack: "numpy", "torch", "triton", "cc", "cuda", "node"
    gpu: bool = False  # made for a GPU; without one it is right, but not to be timed


RUNGS = [
    Rung("", "textbook", "ladder/textbook.py", "ladder.textbook:train"),
    Rung("0", "microgpt", "microgpt.py", "microgpt:train"),
    Rung("1", "vectors", "ladder/vector.py", "ladder.vector:train"),
    Rung("2", "NumPy", "ladder/numpy_gpt.py", "ladder.numpy_gpt:train", needs="numpy"),
    Rung(
        "2", "NumPy, f32", "ladder/numpy_gpt.py", "ladder.numpy_gpt:train_f32", "float32", "numpy"
    ),
    Rung("3", "torch", "ladder/torch_gpt.py", "ladder.torch_gpt:train", "float32", "torch"),
    Rung(
        "3",
        "torch, compiled",
        "ladder/torch_gpt.py",
        "ladder.torch_gpt:train_compiled",
        "float32",
        "torch",
    ),
    Rung("4", "C", "ladder/gpt.c", "ladder.native:train_c", needs="cc"),
    Rung("4", "C, f32", "ladder/gpt.c", "ladder.native:train_c_f32", "float32", "cc"),
    Rung("5", "C, SIMD", "ladder/gpt_simd.c", "ladder.native:train_simd", "float32", "cc"),
    Rung("6", "JavaScript", "ladder/gpt.mjs", "ladder.javascript:train", needs="node"),
    Rung(
        "7",
        "Triton",
        "ladder/triton_gpt.py",
        "ladder.triton_gpt:train",
        "float32",
        "triton",
        gpu=True,
    ),
    Rung("8", "CUDA", "ladder/gpt.cu", "ladder.cuda:train_cuda", "float32", "cuda", gpu=True),
]
