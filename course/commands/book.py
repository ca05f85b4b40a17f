"""`course book`: build the web site, and read it."""

from __future__ import annotations

from typing import Annotated

import typer


def book(
    open_: Annotated[
        bool, typer.Option("--open", help="Then serve it on this machine and open a browser.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether a warning is an error.")
    ] = True,
) -> None:
    """Build the web site from the committed outputs, into book/_build/html."""
    import time
    import webbrowser

    from course.authoring import book as site
    from course.paths import ROOT

    start = time.perf_counter()
    index = site.build(ROOT, strict=strict)
    print(f"Built in {time.perf_counter() - start:.0f} s: {index.relative_to(ROOT)}")
    if not open_:
        return
    with site.server(index.parent) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(f"Reading at {address}; Ctrl-C stops.")
        webbrowser.open(address)
        server.serve_forever()
