"""nbgrader at the hub: who is at work, and where the exchange is."""

import os

c = get_config()  # noqa: F821

if cohort := os.environ.get("COURSE_HUB_COHORT"):  # the instructor
    c.CourseDirectory.root = cohort
    load_subconfig("nbgrader_config.py", path=cohort)  # noqa: F821
else:
    c.CourseDirectory.course_id = os.environ["COURSE_HUB_ID"]
    # nbgrader takes the account's name, which is the same for all where all share one account.
    c.CourseDirectory.student_id = os.environ["JUPYTERHUB_USER"]
    c.Execute.timeout = 600  # for the button "Validate": some exercises train a model
c.Exchange.root = os.environ["COURSE_HUB_EXCHANGE"]
