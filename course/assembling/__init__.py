"""`course assemble`: the learner's passed parts, put together in one program that trains."""
