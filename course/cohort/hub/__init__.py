"""JupyterHub for a cohort: `running` starts it on this machine, `room` is one person's server."""
