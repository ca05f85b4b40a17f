"""`course bench`: times every rung of the ladder in one run, and says how sure the numbers are."""
