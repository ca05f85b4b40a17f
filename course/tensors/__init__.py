"""Errors of NumPy and torch, told in the learner's own names: which line, which axes clash.

`explain.py` takes an exception and says it in 20 to 80 words; `kernel.py` shows that in the place
of the traceback, in a notebook. Standard library only: NumPy and torch are touched only where the
learner has imported them already.
"""
