"""The README of cuda_on_cpu.h: its example, run as it stands there.

Oracle: the README's own outputs; the row sums by Python.
"""

import os
import re
import shutil
import subprocess

import pytest
from cuda_programs import HEADER, NEEDS

README = (HEADER.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = [block.rstrip("\n") for block in re.findall(r"```console\n(.*?)```", README, re.S)]
MARK = "-- next --"

pytestmark = [
    pytest.mark.skipif(**NEEDS),
    pytest.mark.skipif(not shutil.which("g++"), reason="needs g++, which the README calls"),
    pytest.mark.skipif(not shutil.which("addr2line"), reason="needs addr2line, of binutils"),
]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """(command, what the README says that it prints, what it prints), for each command."""
    folder = tmp_path_factory.mktemp("readme")
    for file in HEADER.parent.glob("cuda_on_cpu*.h"):
        shutil.copy(file, folder)
    (folder / "sum.cu").write_text(re.search(r"```cuda\n(.*?)```", README, re.S)[1])
    steps = re.findall(r"^\$ (.*)\n?((?:(?!\$ ).*\n?)*)", "\n".join(BLOCKS), re.M)
    # the exit code of a command stays what `echo $?` after it finds
    script = "".join(f"{command}\n(c=$?; echo '{MARK}'; exit $c)\n" for command, _ in steps)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_ON_CPU")}
    done = subprocess.run(
        ["bash", "-c", script], env=environment,
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    outputs = done.stdout.split(f"{MARK}\n")
    return [(*step, output) for step, output in zip(steps, outputs[:-1], strict=True)]


def test_every_command_prints_what_the_readme_shows(printed):
    assert len(printed) >= 15
    for command, shown, output in printed:
        assert output.strip("\n") == shown.strip("\n"), command


def test_the_example_is_right(printed):
    x = [i % 7 for i in range(600)]
    sums = " ".join(str(sum(x[row : row + 200])) for row in (0, 200, 400))
    assert ("./sum", sums) in [(command, output.strip()) for command, _, output in printed]


def test_the_readme_names_every_file():
    """Oracle: the folder."""
    files = sorted(HEADER.parent.glob("cuda_on_cpu*.h"))
    words = {6: "six"}
    assert f"the {words[len(files)]} files `cuda_on_cpu*.h`" in README
    text = HEADER.read_text(encoding="utf-8")
    assert [file.name for file in files if f"//     {file.name} " not in text] == []
