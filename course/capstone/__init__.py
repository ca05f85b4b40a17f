"""What grades the capstone, a GPT written from a blank page. Standard library only.

`grading.grade` runs a program, compares it with microgpt.py and gives marks; `course capstone`
calls it. The specification that the program follows is exercises/05_capstone.ipynb.
"""
