"""What the web site holds beside its pages: Python that runs in them, and what makes it so."""
