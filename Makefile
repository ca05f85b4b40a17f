# Short names for the course's commands; everything here is `python3 -m course ...`.
PYTHON ?= python3

.PHONY: lab test book doctor sync lint

lab test book doctor:
	$(PYTHON) -m course $@

sync:
	$(PYTHON) -m course sync

lint:
	$(PYTHON) -m course test tests/test_style.py
