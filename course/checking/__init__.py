"""The check engine: one answer, one sentence. Standard library only, for the page."""
