"""The program around the parts: what `course assemble` adds so that they train and sample.

`train` is a rung of the ladder: `train(state_dict, token_docs, num_steps, *, batch_size=1,
total_steps=None) -> (losses, state_dict)`, inputs unchanged. `main` prints what microgpt.py prints.
Like the modules of the reference, this one is taken apart: each function goes into `my_gpt.py`.
"""

import argparse
import os
import random
import sys
import time

from microgpt_ref.autograd import Value
from microgpt_ref.microgpt import load_docs
from microgpt_ref.transformer import adam, document_loss, init_state_dict, sample

NAMES = "../../microgpt_ref/names.txt"  # seen from the folder of this file


def train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, verbose=False):
    """Return (losses in nats, trained state_dict). Step s learns by the mean loss of its documents,
    s * batch_size + i modulo their number; the rate falls from 0.01 to 0 at total_steps."""
    params = {name: [[Value(x) for x in row] for row in w] for name, w in state_dict.items()}
    flat, started = [p for w in params.values() for row in w for p in row], time.monotonic()
    moments, losses = [(0.0, 0.0)] * len(flat), [0.0] * num_steps
    for step in range(num_steps):
        for i in range(step * batch_size, (step + 1) * batch_size):
            loss = document_loss(token_docs[i % len(token_docs)], params) * (1 / batch_size)
            loss.backward()  # adds to the gradients already there
            losses[step] += loss.data
        rate = 0.01 * (1 - step / (total_steps or num_steps))
        for i, p in enumerate(flat):
            change, *moments[i] = adam(p.grad, *moments[i], step, rate)
            p.data += change
            p.grad = 0.0
        if verbose:
            left = (time.monotonic() - started) / (step + 1) * (num_steps - step - 1)
            line = f"step {step + 1:4d} / {num_steps:4d} | loss {losses[step]:.4f}"
            live = f" | {left:4.0f} s left " if sys.stdout.isatty() else ""
            print(line + live, end="\r" if live and left else "\n", flush=True)
    return losses, {name: [[p.data for p in row] for row in w] for name, w in params.items()}


def main(argv=None):
    """Train on the names of a file, print 20 new ones; raises OSError where there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = os.path.join(os.path.dirname(os.path.abspath(__file__)), NAMES)
    parser.add_argument("file", nargs="?", default=names, help="one name a line")
    parser.add_argument("--steps", type=int, default=1000, help="names to learn, default 1000")
    parser.add_argument("--seed", type=int, default=42, help="of the random draws, default 42")
    args = parser.parse_args(argv)
    if args.steps < 0:
        parser.error(f"argument --steps: must be 0 or more, not {args.steps}")
    chars, token_docs = load_docs(args.file, rng := random.Random(args.seed))
    state_dict = init_state_dict(rng, vocab_size=len(chars) + 1)
    block_size = len(state_dict["wpe"])
    if n := sum(len(tokens) > block_size + 1 for tokens in token_docs):
        print(f"note: too long, learned to letter {block_size} only: {n} names", file=sys.stderr)
    print(f"num docs: {len(token_docs)}\nvocab size: {len(chars) + 1}")
    print(f"num params: {sum(len(row) for w in state_dict.values() for row in w)}")
    state_dict = train(state_dict, token_docs, args.steps, verbose=True)[1]
    for i in range(1, 21):
        print(f"sample {i:2d}: {''.join(chars[t] for t in sample(state_dict, rng))}", flush=True)


def program():
    """`main` as a command: what stops it is told in one sentence."""
    sys.stdout.reconfigure(errors="backslashreplace")  # where a terminal lacks characters
    name = os.path.basename(__file__)
    try:
        main()
    except KeyboardInterrupt:
        argparse.ArgumentParser().exit(130, f"\n{name}: stopped\n")
    except BrokenPipeError:  # whoever read the output has left, as `| head` does
        os._exit(141)
    except OSError as error:
        why = f"cannot use {error.filename} ({error.strerror}); give a text, one name a line"
        argparse.ArgumentParser().exit(2, f"{name}: {why}\n")
