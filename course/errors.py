"""The one exception that means: a person gave us something we cannot use."""


class UserError(Exception):
    """Holds one plain sentence: what was wrong and what would be right. The command line prints it, exit 2."""
