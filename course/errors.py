"""The one exception that means: a person gave us something we cannot use."""


class UserError(Exception):
    """One plain sentence: what was wrong, what would be right. The command line exits with 2."""
