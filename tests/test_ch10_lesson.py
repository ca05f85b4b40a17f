"""The lesson of chapter 10 where Triton and every compiler are missing: it says so, and goes on.

Oracle: the asserts of its own cells.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course import notebooks, paths
from course.notebooks import is_code, source

LESSON = paths.CHAPTERS / "10_kernels.ipynb"
WITHOUT = "import sys\nsys.modules['triton'] = None"  # as where it is not installed
NOTICED = "assert not has_triton and missing.startswith('There is no C++ compiler')"


def test_every_cell_runs_without_triton_and_without_a_compiler(tmp_path):
    pytest.importorskip("torch", reason="without torch no cell of this lesson runs")
    texts = [source(cell) for cell in notebooks.read(LESSON)["cells"] if is_code(cell)]
    script = Path(__file__).with_name("plain_python.py")
    out = tmp_path / "failed.json"
    empty = {"PATH": str(tmp_path), "CXX": "", "MPLBACKEND": "agg", "PYTHONUTF8": "1"}
    subprocess.run(
        [sys.executable, script, paths.ROOT, out],
        input=json.dumps([WITHOUT, *texts, NOTICED]).encode(),
        cwd=paths.CHAPTERS,
        env={**os.environ, **empty, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    assert json.loads(out.read_text(encoding="utf-8")) == []
