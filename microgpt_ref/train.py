"""Training that one can stop: batches, evaluation, AdamW, a schedule, checkpoints.

The loop is still that of chapter 03: predict, measure, step. What is added keeps a longer run
healthy. Warm-up: Adam's means know little at first, so the rate rises from near 0 (Vaswani and
others, 2017). Cosine: it falls to a tenth at the end, so that the last steps settle (Loshchilov and
Hutter, 2016). Weight decay: every matrix is pulled towards 0 a little, apart from the gradient
(AdamW, Loshchilov and Hutter, 2017). Clipping: a gradient longer than 1 is shortened to 1, so that
one bad batch does no harm (Pascanu and others, 2013). And the whole state of a run, random numbers
included, fits in one file, so that a run which was interrupted goes on to the very same losses.

torch, on the CPU, and one sibling for batches of documents (`attention_torch.document_batch`,
`loss`).
"""

import math
import os
import random
import zlib

import torch

from microgpt_ref.attention_torch import document_batch, loss


@torch.no_grad()
def mean_nll(model, token_docs: list[list[int]], batch_size: int = 500) -> float:
    """The mean negative log-likelihood of every predicted token, in nats; dropout is off.

    Of a document longer than the block its beginning counts.
    """
    if not token_docs:
        raise ValueError("token_docs is empty; give one document or more.")
    was_training = model.training
    model.eval()
    total = n = 0
    for i in range(0, len(token_docs), batch_size):
        tokens, targets = document_batch(token_docs[i : i + batch_size], model.block_size)
        count = int((targets >= 0).sum())
        total += loss(model(tokens)[0], targets).item() * count
        n += count
    model.train(was_training)
    return total / n


def learning_rate(step: int, total_steps: int, highest: float, warmup: int = 100) -> float:
    """Rises in a straight line over `warmup` steps, then falls along a cosine to a tenth."""
    if step < warmup:
        return highest * (step + 1) / warmup
    done = min(1, (step - warmup) / max(1, total_steps - warmup))
    return highest * (0.55 + 0.45 * math.cos(math.pi * done))


def optimizer(model, weight_decay: float = 0.1) -> torch.optim.AdamW:
    """AdamW with betas 0.9 and 0.95. Matrices decay; biases and norms do not."""
    decay = [p for p in model.parameters() if p.dim() >= 2]
    keep = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": keep, "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)


class Run:
    """A training run: model, optimizer, place in the schedule, and the state of all randomness.

    `step` makes one step and returns its loss in nats; `save` and `load` write and read all of it.
    Batches are drawn with replacement by `random.Random(seed)`, dropout by torch's generator.
    """

    def __init__(
        self,
        model,
        token_docs,
        *,
        total_steps,
        batch_size=32,
        highest=2e-3,
        weight_decay=0.1,
        seed=1,
    ):
        if not token_docs or total_steps < 1 or batch_size < 1:
            raise ValueError("A run needs documents, and at least one step of one document.")
        self.model, self.token_docs = model, token_docs
        self.total_steps, self.batch_size, self.highest = total_steps, batch_size, highest
        self.optimizer, self.rng = optimizer(model, weight_decay), random.Random(seed)
        self.done = 0
        # Two runs that agree in all of this go on to the same losses.
        self.setting = {
            "model": str(model),
            "token_docs": zlib.crc32(repr(token_docs).encode()),  # a number that tells lists apart
            "total_steps": total_steps,
            "batch_size": batch_size,
            "highest": highest,
            "weight_decay": weight_decay,
        }

    def step(self) -> float:
        """One step on batch_size documents; the loss before it, in nats."""
        docs = [
            self.token_docs[int(self.rng.random() * len(self.token_docs))]
            for _ in range(self.batch_size)
        ]
        tokens, targets = document_batch(docs, self.model.block_size)
        self.model.train()
        value = loss(self.model(tokens)[0], targets)
        self.optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.done, self.total_steps, self.highest)
        self.optimizer.step()
        self.done += 1
        return value.item()

    def save(self, path) -> None:
        """Write the run to a file. An earlier file stays whole until the new one is complete."""
        state = {
            "setting": self.setting,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "batches": self.rng.getstate(),
            "dropout": torch.get_rng_state(),
        }
        torch.save(state, f"{path}.new")
        os.replace(f"{path}.new", path)

    def load(self, path) -> None:
        """Go on where the run in this file stopped. Model, documents and settings must be the same.

        Raises ValueError where they are not or the file is no checkpoint, and changes nothing.
        """
        try:
            state = torch.load(path, weights_only=True)
            setting = state["setting"]
        except FileNotFoundError:
            raise
        except Exception:  # what torch raises depends on where the bytes stop to make sense
            raise ValueError(f"{path} is not a whole file that Run.save wrote.") from None
        if differs := [name for name in self.setting if self.setting[name] != setting.get(name)]:
            raise ValueError(
                f"The run in {path} was made with another {' and another '.join(differs)}; "
                "make this one with the same, then load."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]
        version, numbers, gauss = state["batches"]
        self.rng.setstate((version, tuple(numbers), gauss))
        torch.set_rng_state(state["dropout"])
