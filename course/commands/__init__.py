"""The commands of `course`, one file for each; course/cli.py finds them."""
