"""What the tests of C files need of the machine."""

import shutil

import pytest

from microgpt_ref.ladder import native


def _has_cc():
    try:
        return bool(native.compiler())
    except FileNotFoundError:
        return False


needs_cc = pytest.mark.skipif(not _has_cc(), reason="this machine has no C compiler")
needs_cpp = pytest.mark.skipif(not shutil.which("g++"), reason="this machine has no g++")
