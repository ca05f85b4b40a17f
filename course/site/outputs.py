"""What a running cell sends to its page, in pieces that a page can bear.

Printed text goes out line by line, and in larger pieces where a cell prints a great deal. A cell
that prints or shows without end is cut short with a sentence, and goes on unheard. Standard library
only: this runs in the reader's browser.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

MOST_PRINTED = 200_000  # characters that one run of a cell may print
MOST_SHOWN = 4_000_000  # characters that it may show: results, HTML, widgets with their states
PIECES = 20  # pieces of text a second, once as many have gone out at once
PIECE = 8_192  # characters; a line that is longer goes out in parts

PRINTED = f"\n[Cut here: a cell may print {MOST_PRINTED:,} characters. It runs on, unheard.]\n"
SHOWN = f"[Left out: a cell may show {MOST_SHOWN:,} characters.]\n"


class Outputs:
    """The outputs of one run of a cell. send: called with each output, a dict."""

    def __init__(self, send: Callable[[dict], None], clock: Callable[[], float] = time.monotonic):
        self._send, self._clock = send, clock
        self._name, self._held = "stdout", []
        self._printed = self._shown = 0
        self._allowed, self._at = float(PIECES), clock()

    def write(self, name: str, text: str) -> None:
        """Takes what was printed to the stream `name` ("stdout" or "stderr")."""
        if self._printed > MOST_PRINTED:
            return
        room = MOST_PRINTED - self._printed
        self._printed += len(text)
        if name != self._name:
            self.flush()
            self._name = name
        self._held.append(text if len(text) <= room else text[:room] + PRINTED)
        if len(text) > room or self._is_time(text):
            self.flush()

    def _is_time(self, text: str) -> bool:
        """Is a line complete, and has not too much gone out of late?"""
        if sum(map(len, self._held)) >= PIECE:
            return True
        if "\n" not in text and "\r" not in text:
            return False
        now = self._clock()
        self._allowed = min(PIECES, self._allowed + (now - self._at) * PIECES)
        self._at = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def show(self, output: dict, size: int) -> None:
        """Sends an output that is not printed text; size: its characters."""
        self.flush()
        was, self._shown = self._shown, self._shown + size
        if self._shown <= MOST_SHOWN:
            self._send(output)
        elif was <= MOST_SHOWN:
            self._send({"kind": "stream", "name": "stderr", "text": SHOWN})

    def flush(self) -> None:
        """Sends what is held back."""
        text, self._held = "".join(self._held), []
        if text:
            self._send({"kind": "stream", "name": self._name, "text": text})


class Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a cell: a text file that is an output."""

    encoding = "utf-8"

    def __init__(self, outputs: Outputs, name: str):
        self._outputs, self.name = outputs, f"<{name}>"
        self._stream = name

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Takes text; returns its length. Anything but text is a TypeError."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.write(self._stream, text)
        return len(text)

    def flush(self) -> None:
        self._outputs.flush()
