"""The ladder: one model, trained by many programs, each faster than the one below it.

Rung 0 is `microgpt_ref/microgpt.py`. Every file in this folder is another rung. A rung trains the
same model from the same parameters on the same documents in the same order, through one function:

    train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None)
        -> (losses, state_dict)

`textbook.py` is the slowest rung, the 1x that the others are measured against. Its 1,000 losses
on `names.txt` are stored in `trace.txt`. Every other rung must print the same four digits:
to 1e-9 in float64, to 1e-4 in float32.
"""
