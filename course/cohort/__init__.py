"""A cohort: an nbgrader course made from this one, with a collector and a grader that are safe."""
