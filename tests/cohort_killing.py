"""Grades a cohort in processes that can be killed: one is forked for each line on standard input.

A line: the cohort's folder, the grader. What is printed: the process's id, then each learner as
soon as their marks are written, then "done", or "stopped" after Ctrl-C. Everything is imported
once, so that a test can kill often.
"""

import os
import sys


def main():
    """Reads lines until there are no more."""
    import contextlib
    from pathlib import Path

    from course.cohort import folder, grading

    @contextlib.contextmanager
    def show(many):
        yield lambda row: print(row.id, flush=True)

    for line in sys.stdin:
        root, grader = line.split()
        child = os.fork()
        if child == 0:
            try:
                cohort = folder.open_cohort(Path(root))
                grading.grade(cohort, "01", jobs=2, grader=grader, show=show)
                print("done", flush=True)
            except KeyboardInterrupt:
                print("stopped", flush=True)
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
