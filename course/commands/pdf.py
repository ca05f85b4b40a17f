"""`course pdf`: the whole book as one PDF."""

from __future__ import annotations


def pdf() -> None:
    """Build the web site, and print all of it as one PDF, with Chromium, into book/_build."""
    import time

    from course.paths import ROOT
    from course.site import pdf as printing

    start = time.perf_counter()
    made = printing.make(ROOT)
    size, took = made["bytes"] / 1e6, time.perf_counter() - start
    print(f"Printed in {took:.0f} s: {made['path'].relative_to(ROOT)}, {size:.1f} MB")
    for what in made["missing"]:
        print(f"Missing in it: {what}")
    for what in made["cut"]:
        print(f"Too wide for the paper: {what}")
