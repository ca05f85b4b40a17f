"""A sandbox for programs that nobody trusts: bubblewrap around them, a watcher outside.

`box.py` starts a program in it, `inmate.py` talks with one that answers messages, `running.py`
runs one and brings back its files.
"""
