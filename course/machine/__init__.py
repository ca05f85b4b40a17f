"""The machine underneath: installing, JupyterLab, the tests, what is wrong here."""
