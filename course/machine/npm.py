"""Packages that npm brings, in the versions that a lock file names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from course.errors import UserError


def packages(
    home: Path, needed: list[str], what: str, without: str, *, into: Path | None = None, say=print
) -> Path:
    """The folder node_modules, holding the `needed` packages in their locked versions.

    Runs `npm ci` when one is missing or another version: in a folder beside it that takes its
    place when complete, so that Ctrl-C, or two runs at once, leave no half-installed packages.
    home: the folder of package.json and its lock; into: where node_modules stands, by default
    there too. what: what is installed, in words; without: a sentence on what does not work without.
    Raises UserError when npm is not there or cannot reach its registry.
    """
    into = into or home
    there = into / "node_modules"
    lock = json.loads((home / "package-lock.json").read_text(encoding="utf-8"))["packages"]

    def complete(folder: Path) -> bool:
        for name in needed:
            try:
                text = (folder / name / "package.json").read_text(encoding="utf-8")
            except OSError:
                return False
            if json.loads(text)["version"] != lock[f"node_modules/{name}"]["version"]:
                return False
        return True

    if complete(there):
        return there
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"npm was not found: install Node.js 20 or newer. {without}")
    say(f"Installing {what} with npm, once ...")
    (into / "_build").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into / "_build", prefix="npm-") as folder:
        fresh = Path(folder)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(home / name, fresh)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, errors="replace")
        if done.returncode:
            # npm's own first error line says more than we could: no network, no disk, old Node.js
            errors = [x for x in done.stderr.splitlines() if re.match(r"npm (error|ERR!) \S", x)]
            why = errors[-2:][0] if errors else f"exit {done.returncode}"
            raise UserError(f"npm could not install {home.name}/package.json: {why}. {without}")
        if there.exists() and not complete(there):
            os.replace(there, fresh / "old")
        try:
            os.replace(fresh / "node_modules", there)
        except OSError:
            if not complete(there):  # else another run was faster, and that is as good
                raise
    return there
