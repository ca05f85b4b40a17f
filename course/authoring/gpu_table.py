"""The measured table of the GPU kernels on the pages of chapter 10.

`course bench --gpu --publish` stores the measurement in course/checks/gpu.json (a copy of its
work/bench_gpu.json does as well, from a machine that is not this one). `course sync` makes from it
the blocks `<!-- course:gpu -->`, in a Markdown cell of a lesson or on a page. Where nothing has
been published, they say so.
"""

from __future__ import annotations

import json
from pathlib import Path

from course import notebooks, paths
from course.benching import gpu_report
from course.errors import UserError

NONE = (
    "No measurement on a GPU has been published yet. On a machine with an NVIDIA GPU, "
    "`course bench --gpu --publish` makes one."
)


def measured_file() -> Path:
    """Where the published measurement lies."""
    return paths.CHECKS / "gpu.json"


def as_json(document: dict) -> str:
    """The document as the text of a file."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def published() -> dict | None:
    """The published document, None where there is none. Raises UserError when it is damaged."""
    name = notebooks.shown(measured_file())
    try:
        found = json.loads(measured_file().read_text(encoding="utf-8"))
        gpu_report.markdown(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as why:
        raise UserError(f"{name} cannot be read as JSON: {why}.") from None
    except (LookupError, TypeError, AttributeError) as why:
        again = "`course bench --gpu --publish` makes it anew"
        raise UserError(f"{name} lacks {why}; {again}.") from None
    return found


def block() -> str:
    """What stands in a block: the table and how it was measured, or that there is none yet."""
    found = published()
    return NONE if found is None else gpu_report.markdown(found)
