"""Grading the learner's notebooks: each exercise in a process of its own, with limits."""
