"""`course bench`: every rung of the ladder, timed side by side in one run; or, with --gpu, the
kernels of chapter 10.

Exit code 0: every row was timed, or something that it needs is not installed; 1: a rung or kernel
failed, took too long, or has wrong results. The document that `--json` prints is also in
work/bench.json, with --gpu in work/bench_gpu.json; its keys are explained in
course/benching/result.py and gpu_result.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="In 30 seconds (on a GPU in a few minutes): shorter blocks, fewer rows."
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this rung, such as NumPy, and the textbook; with --gpu only this kernel, "
            "such as softmax or 'cuda matmul'; may be repeated."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Another folder for the files it writes than work/.")
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="For authors: show this measurement on the pages.")
    ] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Time the kernels of chapter 10 on this machine's GPU.")
    ] = False,
    dry: Annotated[
        bool,
        typer.Option("--dry", help="With --gpu: tiny sizes, on the processor; checks only."),
    ] = False,
) -> None:
    """Time every rung of the ladder side by side, and draw the ladder.

    Each rung trains the same model from the same start in a process of its
    own, on one thread, and its losses are compared with the trace. With
    work/my_gpt.py (`course assemble`) your own rung is among them. Leave
    the machine alone meanwhile; it takes about two minutes.

    With --gpu it times the kernels of chapter 10 beside torch and NVIDIA's
    libraries on one GPU, in up to ten minutes, and first compares their
    results with float64.
    """
    if dry and not gpu:
        raise typer.BadParameter("--dry belongs to --gpu.")
    if gpu:
        from course.benching import gpu as organ

        code = organ.bench(quick, only or [], json, folder, publish, dry)
    else:
        from course.benching import bench as organ

        code = organ.bench(quick, only or [], json, folder, publish)
    if code:
        raise typer.Exit(code)
