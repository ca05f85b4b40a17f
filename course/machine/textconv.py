"""A notebook as text, for `git diff`: the cells and what they printed, without the JSON.

`.gitattributes` names this driver, `install` tells git where it is. Standard library only.
`python -m course.machine.textconv FILE` prints one notebook; any other file as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def joined(text: str | list[str]) -> str:
    """A notebook's text, which may be stored as one string or as a list of lines."""
    return "".join(text) if isinstance(text, list) else str(text)


def outputs(cell: dict):
    """Yields what a cell printed or showed as text; of a picture only its kind and size."""
    for output in cell.get("outputs", []):
        if "ename" in output:
            yield f"{output['ename']}: {output.get('evalue', '')}"
            continue
        data = output.get("data", {})
        if "text" in output or "text/plain" in data:
            yield joined(output.get("text", data.get("text/plain", "")))
        for kind in sorted(data):
            if kind.startswith("image/"):
                yield f"[{kind}, {len(joined(data[kind])):,} characters]"


def text_of(nb: dict) -> str:
    """The whole notebook: a headline, the source and `> ` outputs for each cell."""
    lines = []
    for cell in nb["cells"]:
        metadata = cell.get("metadata", {})
        grade_id = metadata.get("nbgrader", {}).get("grade_id", "")
        words = [cell.get("cell_type", "?"), grade_id, *metadata.get("tags", [])]
        lines += ["", "--- " + " ".join(word for word in words if word)]
        lines += joined(cell.get("source", "")).splitlines()
        for text in outputs(cell):
            lines += ["> " + line for line in text.splitlines()]
    return "\n".join(lines[1:]) + "\n"


def main(name: str) -> int:
    """Prints the notebook `name` as text. Returns 0; whatever cannot be read so is shown raw."""
    sys.stdout.reconfigure(encoding="utf-8")
    raw = Path(name).read_bytes()
    try:
        text = text_of(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError):
        text = raw.decode("utf-8", errors="replace")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
