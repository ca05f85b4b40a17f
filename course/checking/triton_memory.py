"""The memory that a learner's Triton kernel works on: tensors with a band on each side.

The bands, and numbers that nobody has written yet, hold a nan of their own. What a kernel writes
beside an array is found there; what it reads beside one spoils its result. In the interpreter
neither happens: `triton_watch.py` sees the address first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from course.checking import messages_triton as say
from course.checking import triton_watch
from course.checking.messages import Told

BAND = 256  # numbers on each side
# A nan that no computation makes: its bits in an integer of the same size.
EMPTY = {
    torch.float32: (torch.int32, 0x7FC0DE0B),
    torch.float16: (torch.int16, 0x7EDE),
    torch.int32: (torch.int32, 0x3FC0DE0B),
    torch.int64: (torch.int64, 0x3FC0DE0B3FC0DE0B),
}


@dataclass
class Buffer:
    """One array. block: all of its memory, bands included; tensor: the part that is handed out."""

    name: str
    block: torch.Tensor
    tensor: torch.Tensor
    first: torch.Tensor | None = None  # what an input held

    @property
    def size(self) -> int:
        """Bytes of one number."""
        return self.block.element_size()

    @property
    def many(self) -> int:
        """Numbers between the bands."""
        return self.block.numel() - 2 * BAND

    @property
    def start(self) -> int:
        """The address of the first number."""
        return self.block.data_ptr() + BAND * self.size


class Memory:
    """The arrays of one call, and the way to launch the kernel on them."""

    def __init__(self, kernel, function):
        self.kernel, self.function = kernel, function
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.buffers: list[Buffer] = []
        self.open_load: tuple | None = None  # (line, text) of a masked load without `other=`

    def _place(self, name: str, shape, stride, dtype) -> Buffer:
        many = 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        kind, bits = EMPTY[dtype]
        block = torch.full((many + 2 * BAND,), bits, dtype=kind, device=self.device).view(dtype)
        tensor = block.as_strided(shape, stride, BAND)
        self.buffers.append(Buffer(name, block, tensor))
        return self.buffers[-1]

    def new(self, name: str, *shape: int, dtype=torch.float32) -> torch.Tensor:
        """An array without values, which the kernel has to fill."""
        stride = torch.empty(shape, device="meta").stride()
        return self._place(name, shape, stride, dtype).tensor

    def zeros(self, name: str, *shape: int) -> torch.Tensor:
        """An array of zeros, which the kernel adds to."""
        return self.new(name, *shape).zero_()

    def copy(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A copy of a tensor, which the kernel changes."""
        buffer = self._place(name, tensor.shape, tensor.stride(), tensor.dtype)
        return buffer.tensor.copy_(tensor)

    def given(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A copy of an input, which the kernel only reads."""
        self.copy(name, tensor)
        self.buffers[-1].first = tensor.clone()
        return self.buffers[-1].tensor

    def run(self, grid: tuple, *args, **constants) -> None:
        """Launches the kernel. Raises what it raised, or Told for what it must not do."""
        launch = self.kernel[grid]
        if triton_watch.interpreted(self.kernel):
            watch = triton_watch.Watch(self.function, self.buffers)
            watch.during(lambda: launch(*args, **constants))
            self.open_load = self.open_load or watch.open_load
            return
        try:
            launch(*args, **constants)
            torch.cuda.synchronize()
        except Exception as error:
            raise triton_watch.refused(self.function, error) from error

    # --- after the launch ---------------------------------------------------------------------

    def put_back(self, args: dict) -> None:
        """Writes what became of the inputs into the arguments, so that a change is seen."""
        for buffer in self.buffers:
            if buffer.first is not None:
                now = buffer.tensor.cpu()
                if not torch.equal(now, buffer.first):
                    args[buffer.name].copy_(now)

    def taken(self, call: str, result):
        """The result on the CPU. Raises Told for bands that were written, and missing numbers."""
        for buffer in self.buffers:
            self._bands(call, buffer)
        parts = result if isinstance(result, dict) else {"": result}
        parts = {name: one.detach().cpu().clone() for name, one in parts.items()}
        kept = parts if isinstance(result, dict) else parts[""]
        for one in result.values() if isinstance(result, dict) else [result]:
            buffer = next(each for each in self.buffers if each.tensor is one)
            missing = _empty(buffer.tensor).flatten().nonzero().flatten().tolist()
            if missing:
                fault = say.unwritten(call, buffer.name, missing, tuple(buffer.tensor.shape))
                raise Told(f"{buffer.name} unwritten", fault, kept)
        if self.open_load and any(one.isnan().any() for one in parts.values()):
            raise Told("open load", say.open_load(call, *self.open_load), kept)
        return kept

    def _bands(self, call: str, buffer: Buffer) -> None:
        for start, band in ((-BAND, buffer.block[:BAND]), (buffer.many, buffer.block[-BAND:])):
            wrong = (~_empty(band)).nonzero().flatten().tolist()
            if wrong:
                fault = say.wrote_beside(call, buffer.name, start + wrong[0], buffer.many)
                raise Told(f"writes beside {buffer.name}", fault)


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    """Where a tensor still holds what stands for "never written"."""
    kind, bits = EMPTY[tensor.dtype]
    return tensor.contiguous().view(kind) == bits
