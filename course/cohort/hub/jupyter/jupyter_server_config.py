"""JupyterLab at the hub: nbgrader's menus for the learner or the instructor, and no other host."""

import os
from pathlib import Path

import zmq

c = get_config()  # noqa: F821

ROLE = "instructor" if "COURSE_HUB_COHORT" in os.environ else "learner"

# nbgrader's half in the server, as page_config.json5 has its half in the browser.
c.ServerApp.jpserver_extensions = {
    "jupyterlab": True,
    "nbgrader.server_extensions.assignment_list": True,
    "nbgrader.server_extensions.course_list": True,
    "nbgrader.server_extensions.validate_assignment": True,
    "nbgrader.server_extensions.formgrader": ROLE == "instructor",
}
if ROLE == "instructor":
    # The formgrader stands in a frame of JupyterLab's page, which JupyterHub forbids by itself.
    policy = {"Content-Security-Policy": "frame-ancestors 'self'"}
    c.ServerApp.tornado_settings = {"headers": policy}
c.LanguageServerManager.autodetect = False  # each server would run npm to look for some
c.LabApp.app_settings_dir = str(Path(__file__).parent / ROLE)
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
# What a server and a kernel say to each other cannot be read by other accounts of the machine.
c.KernelManager.transport_encryption = "auto" if zmq.has("curve") else "disabled"
