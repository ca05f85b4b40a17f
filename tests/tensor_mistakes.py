"""Real mistakes with tensors: cells as learners write them, and what has to be said of each.

Each is run as it stands, so that the exception is the library's own. `said` must all occur in the
explanation. `mended` is the failing line written as the explanation advises; it has to run.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """cell: the last line that is reached fails; said: in the explanation; mended: see above."""

    cell: str
    said: tuple
    mended: str = ""


MODEL = """
class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(27, 10)
        self.fc1 = nn.Linear(30, 64)
    def forward(self, tokens):
        emb = self.wte(tokens)
        return torch.tanh(self.fc1(emb))
MLP()(torch.zeros(4, 3, dtype=torch.long))
"""

MISTAKES = {
    # --- products ---
    "a weight stored as (out, in)": Mistake(
        "x = torch.randn(4, 16)\nw = torch.randn(27, 16)\nh = x @ w",
        ("`x` has shape (4, 16) and `w` has shape (27, 16)", "axis 1 of `x` is 16", "`w.T`"),
        "h = x @ w.T",
    ),
    "the same in NumPy": Mistake(
        "x = np.ones((4, 16))\nw = np.ones((27, 16))\nh = x @ w",
        ("axis 1 of `x` is 16, axis 0 of `w` is 27", "ValueError", "(4, 27)"),
        "h = x @ w.T",
    ),
    "(B, T, C) not flattened": Mistake(
        "wte = torch.randn(27, 10)\nX = torch.zeros(4, 3, dtype=torch.long)\n"
        "fc1 = torch.randn(30, 64)\nb = torch.randn(64)\nh = torch.tanh(wte[X] @ fc1 + b)",
        ("`wte[X]` has shape (4, 3, 10)", "axis 2 of `wte[X]` is 10, axis 0 of `fc1` is 30"),
        "h = torch.tanh(wte[X].reshape(4, 30) @ fc1 + b)",
    ),
    "parameters in a dict": Mistake(
        'params = {"wte": np.ones((27, 10)), "fc1": np.ones((64, 30))}\n'
        'X = np.zeros((4, 3), dtype=int)\nemb = params["wte"][X]\nh = emb @ params["fc1"].T',
        ("`emb` has shape (4, 3, 10)", "`params['fc1'].T` has shape (30, 64)", "3 × 10 = 30"),
        'h = emb.reshape(4, 30) @ params["fc1"].T',
    ),
    "a bias between": Mistake(
        "x = np.ones((4, 16))\nw = np.ones((8, 27))\nb = np.ones(27)\nh = np.tanh(x @ w + b)",
        ("`x` has shape (4, 16) and `w` has shape (8, 27)", "Which of 16 and 8 is right"),
    ),
    "queries and keys": Mistake(
        "q = torch.randn(2, 8, 16)\nk = torch.randn(2, 8, 16)\natt = q @ k",
        ("axis 2 of `q` is 16, axis 1 of `k` is 8", "`k.transpose(-2, -1)`"),
        "att = q @ k.transpose(-2, -1)",
    ),
    "stacks of other lengths": Mistake(
        "a = np.ones((4, 3, 10))\nb = np.ones((5, 10, 6))\nc = a @ b",
        ("axis 0 of `a` is 4, axis 0 of `b` is 5", "the last two axes"),
    ),
    "np.dot": Mistake(
        "x = np.ones((4, 3, 10))\nw = np.ones((30, 64))\nh = np.dot(x, w)",
        ("axis 2 of `x` is 10, axis 0 of `w` is 30", "`.reshape(4, 30)`"),
        "h = np.dot(x.reshape(4, 30), w)",
    ),
    "a number on the right": Mistake(
        "x = torch.randn(4, 16)\nlr = 0.1\nh = x @ lr",
        ("`lr` is the number 0.1", "write `*`"),
        "h = x * lr",
    ),
    "a layer for another width": Mistake(
        MODEL.strip(),
        ("`self.fc1`, a Linear layer, takes 30", "`emb` has shape (4, 3, 10)", "axis 2 of `emb`"),
        "        return torch.tanh(self.fc1(emb.reshape(4, 30)))",
    ),
    "a layer deep inside": Mistake(
        "net = nn.Sequential(nn.Linear(10, 30), nn.Tanh(), nn.Linear(20, 3))\n"
        "x = torch.randn(4, 10)\ny = net(x)",
        ("A Linear layer in it takes 20", "Its input has shape (4, 30)", "`nn.Linear(30, 3)`"),
    ),
    "functional linear": Mistake(
        "x = torch.randn(5, 3)\nw = torch.randn(3, 4)\nh = F.linear(x, w)",
        ("axis 1 of `x` is 3, axis 1 of `w` is 4", "`.T`"),
        "h = F.linear(x, w.T)",
    ),
    # --- element by element ---
    "a sum that lost its axis": Mistake(
        "counts = np.ones((4, 27))\nprobs = counts / counts.sum(axis=1)",
        ("`counts.sum(axis=1)` has shape (4,)", "axis 1 of `counts` is 27", "`keepdims=True`"),
        "probs = counts / counts.sum(axis=1, keepdims=True)",
    ),
    "the same in torch": Mistake(
        "counts = torch.ones(4, 27)\nprobs = counts / counts.sum(1)",
        ("axis 1 of `counts` is 27, axis 0 of the right side is 4", "`keepdim=True`"),
        "probs = counts / counts.sum(1, keepdim=True)",
    ),
    "inside a function": Mistake(
        "def softmax(z):\n    e = np.exp(z - z.max(axis=1))\n    return e / e.sum()\n"
        "p = softmax(np.ones((4, 27)))",
        ("Line 2 of this cell", "`z` has shape (4, 27)", "`z.max(axis=1)` has shape (4,)"),
        "    e = np.exp(z - z.max(axis=1, keepdims=True))",
    ),
    "one number for each row": Mistake(
        "x = torch.ones(4, 16)\nb = torch.ones(4)\ny = x + b",
        ("axis 1 of `x` is 16, axis 0 of `b` is 4", "`b[..., None]` has shape (4, 1)"),
        "y = x + b[..., None]",
    ),
    "a comparison": Mistake(
        "logits = np.ones((4, 27))\nys = np.ones(4)\nright = logits == ys",
        ("`logits` has shape (4, 27) and `ys` has shape (4,)", "axis 0 of `ys` is 4"),
    ),
    "in place, and larger": Mistake(
        "b = np.zeros(64)\ngrad = np.ones((32, 64))\nb -= grad",
        ("`b` has shape (64,)", "shape (32, 64)", "cannot grow", "sum `grad` over axis 0"),
        "b -= grad.sum(0)",
    ),
    "a mask for the longest input": Mistake(
        "att = torch.randn(2, 4, 8, 8)\nmask = torch.ones(16, 16)\natt = att + mask",
        ("axis 3 of `att` is 8, axis 1 of `mask` is 16", "`mask[:8, :8]` has shape (8, 8)"),
        "att = att + mask[:8, :8]",
    ),
    "max gives two things": Mistake(
        "logits = torch.randn(4, 27)\nz = logits - logits.max(1)",
        ("a pair, (values, indices)", "`logits` has shape (4, 27)"),
        "z = logits - logits.max(1, keepdim=True).values",
    ),
    # --- view, reshape, cat ---
    "view of another size": Mistake(
        "x = torch.ones(4, 3, 10)\ny = x.view(4, 20)",
        ("`x` has shape (4, 3, 10)", "4 × 3 × 10 = 120", "(4, 20) holds 80", "a slip for 30"),
        "y = x.view(4, -1)",
    ),
    "reshape with -1": Mistake(
        "x = np.ones((4, 3, 10))\ny = x.reshape(-1, 7)",
        ("120 is no multiple of 7",),
    ),
    "view after transpose": Mistake(
        "x = torch.ones(4, 3, 10)\ny = x.transpose(1, 2).view(4, 30)",
        ("`x.transpose(1, 2)` has shape (4, 10, 3)", "`.reshape`"),
        "y = x.transpose(1, 2).reshape(4, 30)",
    ),
    "a size with a /": Mistake(
        "x = torch.ones(4, 30)\nn = 3\ny = x.view(4, n, 30 / n)",
        ("`30 / n` is 10.0, a float", "`//`"),
        "y = x.view(4, n, 30 // n)",
    ),
    "np.zeros of two numbers": Mistake(
        "w = np.zeros(27, 10)",
        ("a tuple", "`np.zeros((27, 10))`"),
        "w = np.zeros((27, 10))",
    ),
    "cat along the wrong axis": Mistake(
        "a = torch.ones(4, 3)\nb = torch.ones(4, 5)\nc = torch.cat([a, b])",
        ("`a` has shape (4, 3) and `b` has shape (4, 5)", "axis 1 of `b` is 5", "`dim=1`"),
        "c = torch.cat([a, b], dim=1)",
    ),
    "concatenate without a list": Mistake(
        "a = np.ones((4, 3))\nb = np.ones((4, 3))\nc = np.concatenate(a, b)",
        ("one list", "`concatenate([a, b])`"),
        "c = np.concatenate([a, b])",
    ),
    "concatenate of other axes": Mistake(
        "rows = np.ones((4, 3))\nlast = np.ones(3)\nc = np.concatenate([rows, last])",
        ("`last[None]` has shape (1, 3) and fits",),
        "c = np.concatenate([rows, last[None]])",
    ),
    "stack of other lengths": Mistake(
        "parts = [torch.ones(3), torch.ones(4)]\nc = torch.stack(parts)",
        ("`parts[0]` has shape (3,) and `parts[1]` has shape (4,)", "axis 0 of `parts[1]` is 4"),
    ),
    # --- indices ---
    "a token too high, advanced index": Mistake(
        "wte = np.ones((27, 10))\nX = np.array([[0, 1, 2], [3, 4, 27]])\nemb = wte[X]",
        ("`wte` has shape (27, 10)", "go from 0 to 26", "`X` holds 27 (at `[1, 2]`)"),
    ),
    "a token too high, embedding": Mistake(
        "wte = torch.randn(27, 10)\nids = torch.tensor([0, 27])\nemb = F.embedding(ids, wte)",
        ("`wte` has 27 rows", "from 0 to 26", "`ids` holds 27 (at `[1]`)"),
    ),
    "a token too high, in a layer": Mistake(
        "net = nn.Sequential(nn.Embedding(27, 10), nn.Linear(10, 27))\nnet(torch.tensor([3, 40]))",
        ("inside `embedding` of torch", "has 27 rows", "holds 40 (at `[1]`)"),
    ),
    "tokens as floats": Mistake(
        "wte = torch.randn(27, 10)\nids = torch.tensor([0.0, 5.0])\nemb = wte[ids]",
        ("`ids` has dtype float32", "`ids.long()`"),
        "emb = wte[ids.long()]",
    ),
    "tokens as floats, embedding": Mistake(
        "wte = nn.Embedding(27, 10)\nids = torch.tensor([0.0, 5.0])\nemb = wte(ids)",
        ("`ids` has dtype float32", "whole numbers"),
        "emb = wte(ids.long())",
    ),
    "an index with a /": Mistake(
        "x = np.ones((10, 2))\nhalf = 10 / 2\nfirst = x[half, 0]",
        ("`half` is 5.0, a float", "`//`"),
        "first = x[int(half), 0]",
    ),
    "one index too many": Mistake(
        "wte = np.ones((27, 10))\nrow = wte[3, 1, 0]",
        ("`wte` has shape (27, 10)", "2 axes, and 3 indices"),
    ),
    "rows and targets of two batches": Mistake(
        "probs = torch.ones(32, 27)\nrows = torch.arange(27)\nY = torch.zeros(32).long()\n"
        "nll = -probs[rows, Y].log().mean()",
        ("`rows` has shape (27,) and `Y` has shape (32,)",),
    ),
    "a letter as an index": Mistake(
        'counts = np.zeros((27, 27))\nword = "emma"\ncounts[word[0], word[1]] += 1',
        ("`word[0]` ('e') is text", "token id"),
    ),
    "a dict indexed by a tensor": Mistake(
        'itos = {0: ".", 1: "a"}\nix = torch.tensor(1)\nletter = itos[ix]',
        ("`itos` is a dict of 2 keys", "`itos[ix.item()]`"),
        "letter = itos[ix.item()]",
    ),
    # --- losses ---
    "logits transposed": Mistake(
        "logits = torch.randn(27, 4)\nY = torch.tensor([1, 2, 3, 4])\n"
        "loss = F.cross_entropy(logits, Y)",
        ("axis 0 of `logits` is 27, axis 0 of `Y` is 4", "`logits.T` has shape (4, 27)"),
        "loss = F.cross_entropy(logits.T, Y)",
    ),
    "targets as one-hot": Mistake(
        "logits = torch.randn(4, 27)\nY = F.one_hot(torch.tensor([1, 2, 3, 4]), 27)\n"
        "loss = F.cross_entropy(logits, Y)",
        ("`Y` has shape (4, 27)", "one-hot", "`Y.argmax(-1)`"),
        "loss = F.cross_entropy(logits, Y.argmax(-1))",
    ),
    "targets as floats": Mistake(
        "logits = torch.randn(4, 27)\nY = torch.tensor([1.0, 2.0, 3.0, 4.0])\n"
        "loss = F.nll_loss(logits, Y)",
        ("`Y` has dtype float32", "int64"),
        "loss = F.nll_loss(logits, Y.long())",
    ),
    "targets that are no class": Mistake(
        "logits = torch.randn(4, 26)\nY = torch.tensor([1, 2, 3, 26])\n"
        "loss = F.cross_entropy(logits, Y)",
        ("With 26 classes (axis 1)", "from 0 to 25", "`Y` holds 26 (at `[3]`)"),
    ),
    "(B, T, V) against (B, T)": Mistake(
        "logits = torch.randn(4, 8, 27)\nY = torch.zeros(4, 8).long()\n"
        "loss = F.cross_entropy(logits, Y)",
        ("classes on axis 1, and yours are on axis 2", "`logits.view(-1, 27)`", "`Y.view(-1)`"),
        "loss = F.cross_entropy(logits.view(-1, 27), Y.view(-1))",
    ),
    "flattened only once": Mistake(
        "logits = torch.randn(4, 8, 27)\nY = torch.zeros(4, 8).long()\n"
        "loss = F.cross_entropy(logits.view(-1, 27), Y)",
        ("`logits.view(-1, 27)` has shape (32, 27)", "axis 0 of `Y` is 4", "`Y.view(-1)`"),
        "loss = F.cross_entropy(logits.view(-1, 27), Y.view(-1))",
    ),
    "gather without its axis": Mistake(
        "logp = torch.randn(4, 27)\nY = torch.tensor([1, 2, 3, 4])\npicked = logp.gather(1, Y)",
        ("`Y` has shape (4,)", "`Y[..., None]` has shape (4, 1)"),
        "picked = logp.gather(1, Y[..., None])",
    ),
    "gather out of range": Mistake(
        "logp = torch.randn(2, 27)\nY = torch.tensor([[1], [27]])\npicked = logp.gather(1, Y)",
        ("Axis 1 has size 27", "`Y` holds 27 (at `[1, 0]`)"),
    ),
    "one_hot with too few classes": Mistake(
        "ids = torch.tensor([0, 26])\nx = F.one_hot(ids, num_classes=26)",
        ("With 26 classes", "`ids` holds 26 (at `[1]`)"),
        "x = F.one_hot(ids, num_classes=27)",
    ),
    # --- dtypes and devices ---
    "float64 into a layer": Mistake(
        "x = torch.from_numpy(np.ones((4, 16)))\nfc = nn.Linear(16, 3)\nh = fc(x)",
        ("`x`, of shape (4, 16), is float64", "`fc.weight` is float32", "`x.float()`"),
        "h = fc(x.float())",
    ),
    "whole numbers times floats": Mistake(
        "x = F.one_hot(torch.tensor([0, 5]), 27)\nw = torch.randn(27, 27)\nh = x @ w",
        ("`x`, of shape (2, 27), is int64", "is float32", "`x.float()`"),
        "h = x.float() @ w",
    ),
    "the mean of whole numbers": Mistake(
        "x = torch.arange(4)\nm = x.mean()",
        ("`x` has dtype int64", "`.float()`"),
        "m = x.float().mean()",
    ),
    "floats into whole numbers": Mistake(
        "counts = np.zeros((27, 27), dtype=int)\np = np.ones((27, 27)) / 2\ncounts += p",
        ("`counts` has dtype int64 and shape (27, 27)", "The result is float64"),
        "counts = counts + p",
    ),
    "out= of whole numbers": Mistake(
        "out = np.zeros(3, dtype=int)\nx = np.ones(3) / 2\nnp.add(x, x, out=out)",
        ("`out` has dtype int64", "`out=`"),
        "out = np.add(x, x)",
    ),
    "two devices": Mistake(
        'x = torch.randn(4, 16)\nb = torch.randn(16, device="meta")\ny = x + b',
        ("`x` is on the device cpu and `b` on meta", "`b` has shape (16,)"),
    ),
    "a layer on another device": Mistake(
        'x = torch.randn(4, 16)\nfc = nn.Linear(16, 3, device="meta")\ny = fc(x)',
        ("`x` is on the device cpu and `fc.weight` on meta",),
    ),
    "an array and a tensor": Mistake(
        "x = np.ones((4, 16))\nw = torch.ones(16, 3).double()\nh = x @ w",
        ("`x` is a NumPy array and `w` a torch tensor", "`torch.from_numpy(x)`"),
        "h = torch.from_numpy(x) @ w",
    ),
    "a list for a tensor": Mistake(
        "wte = nn.Embedding(27, 10)\nids = [1, 2, 3]\nemb = wte(ids)",
        ("`ids` is a list of shape (3,)", "`torch.tensor(ids)`"),
        "emb = wte(torch.tensor(ids))",
    ),
    # --- gradients ---
    "an update that is recorded": Mistake(
        "params = [torch.ones(3, 4, requires_grad=True)]\n(params[0] * 2).sum().backward()\n"
        "for p in params:\n    p -= 0.1 * p.grad",
        ("`p` has shape (3, 4) and `requires_grad=True`", "`with torch.no_grad():`"),
        "    with torch.no_grad(): p -= 0.1 * p.grad",
    ),
    "numpy() of a parameter": Mistake(
        "w = torch.randn(4, 16, requires_grad=True)\npicture = w.numpy()",
        ("`w` has shape (4, 16)", "`w.detach()`"),
        "picture = w.detach().numpy()",
    ),
    "backward of many": Mistake(
        "w = torch.ones(4, 16, requires_grad=True)\nloss = w * 2\nloss.backward()",
        ("`loss` has shape (4, 16)", "`loss` holds 64", "`loss.mean().backward()`"),
        "loss.mean().backward()",
    ),
    "backward twice": Mistake(
        "w = torch.ones(4, requires_grad=True)\nloss = (w * w).sum()\nloss.backward()\n"
        "loss.backward(gradient=None)",
        ("frees the graph", "Compute the loss anew"),
    ),
    "nothing to differentiate": Mistake(
        "w = torch.ones(4)\nloss = (w * w).sum()\nloss.backward()",
        ("`requires_grad` is False",),
    ),
    # --- one value ---
    "item of many": Mistake(
        "losses = torch.ones(4)\nv = losses.item()",
        ("`losses` has shape (4,)", "4 numbers", "`.mean()`"),
        "v = losses.mean()",
    ),
    "float of many": Mistake(
        "losses = np.ones((4, 2))\nv = float(losses)",
        ("`losses` has shape (4, 2)", "8 numbers"),
    ),
    "if of many": Mistake(
        'x = np.array([1.0, -1.0])\nif x > 0:\n    print("all positive")',
        ("`x > 0` has shape (2,)", "2 answers", "`(x > 0).all()`"),
        "if (x > 0).all():",
    ),
    "and of masks": Mistake(
        "x = torch.ones(4)\nok = x > 0 and x < 3",
        ("`x > 0` has shape (4,)", "write `&`"),
        "ok = (x > 0) & (x < 3)",
    ),
    # --- axes, einsum, lists ---
    "an axis that is not there": Mistake(
        "x = torch.ones(4, 27)\ns = x.sum(dim=2)",
        ("`x` has shape (4, 27)", "from 0 to 1", "2 was asked for"),
        "s = x.sum(dim=-1)",
    ),
    "the same axis in NumPy": Mistake(
        "x = np.ones((4, 27))\ns = np.swapaxes(x, 1, 2)",
        ("AxisError", "from 0 to 1", "2 was asked for"),
    ),
    "permute of another order": Mistake(
        "x = torch.ones(4, 27)\ny = x.permute(0, 2, 1)",
        ("2 axes, and `permute` was given an order of 3",),
    ),
    "a letter with two lengths": Mistake(
        'a = torch.ones(3, 4)\nb = torch.ones(5, 6)\nc = torch.einsum("ij,jk->ik", a, b)',
        ("the letter j is axis 1 of `a`, 4 long, and axis 0 of `b`, 5 long",),
    ),
    "the same letter in NumPy": Mistake(
        'a = np.ones((3, 4))\nb = np.ones((5, 6))\nc = np.einsum("ij,jk->ik", a, b)',
        ("the letter j is axis 1 of `a`, 4 long, and axis 0 of `b`, 5 long",),
    ),
    "a letter too few": Mistake(
        'a = torch.ones(2, 3, 4)\nb = torch.ones(4, 6)\nc = torch.einsum("ij,jk->ik", a, b)',
        ("`a` has shape (2, 3, 4)", "3 axes, and `ij` names 2"),
    ),
    "rows of different lengths": Mistake(
        "rows = [[1, 2, 3], [4, 5]]\nX = torch.tensor(rows)",
        ("row 0 has 3, row 1 has 2",),
    ),
    "the same rows in NumPy": Mistake(
        "rows = [[1, 2, 3], [4, 5]]\nX = np.array(rows)",
        ("row 0 has 3, row 1 has 2", "padding"),
    ),
    "a tensor of tensors": Mistake(
        "rows = [torch.ones(3), torch.ones(3)]\nX = torch.tensor(rows)",
        ("`rows` is a list of 2 tensors", "`torch.stack(rows)`"),
        "X = torch.stack(rows)",
    ),
    "names before they are tokens": Mistake(
        'names = ["emma", "ava"]\nX = torch.tensor(names)',
        ("`names` holds text", "token id"),
    ),
    # --- into a place ---
    "a row that is too long": Mistake(
        "x = np.zeros((4, 3, 10))\nrow = np.ones((4, 3))\nx[:, 0] = row",
        ("`x[:, 0]` has shape (4, 10)", "axis 1 of `row` is 3"),
        "x[:, :, 0] = row",
    ),
    "the same row in torch": Mistake(
        "x = torch.zeros(4, 3, 10)\nrow = torch.ones(4, 3)\nx[:, 0] = row",
        ("`x[:, 0]` has shape (4, 10)", "axis 1 of `row` is 3"),
        "x[:, :, 0] = row",
    ),
    "many into one": Mistake(
        "x = np.zeros((2, 2))\nx[0, 0] = [1, 2, 3]",
        ("`x[0, 0]` is one number", "has shape (3,)"),
    ),
    "add.at with rows of another batch": Mistake(
        "dwte = np.zeros((27, 10))\nX = np.zeros((32, 3), dtype=int)\ndemb = np.ones((32, 30))\n"
        "np.add.at(dwte, X, demb)",
        ("must have shape (32, 3, 10)", "axis 1 of `demb` is 30, not 10"),
        "np.add.at(dwte, X, demb.reshape(32, 3, 10))",
    ),
    "unpacking a tensor for its shape": Mistake(
        "x = torch.ones(4, 3)\nB, T = x",
        ("along axis 0, which gives 4 parts", "2 names", "`B, T = x.shape`"),
        "B, T = x.shape",
    ),
    "a probability too few": Mistake(
        "rng = np.random.default_rng(0)\np = np.ones(26) / 26\nix = rng.choice(27, p=p)",
        ("`p` has shape (26,)", "axis 0 of `p` is 26"),
        "ix = rng.choice(26, p=p)",
    ),
    "no rule for it": Mistake(
        "conv = nn.Conv1d(3, 4, 2)\nx = torch.ones(2, 4, 5)\ny = conv(x)",
        ("inside `Conv1d.forward` of torch", "`x` has shape (2, 4, 5)", "expected input[2, 4, 5]"),
    ),
}

# Errors that have nothing to do with tensors, or that say what is wrong by themselves.
OTHERS = {
    "a list": "numbers = [1, 2]\nx = np.ones(3)\nnumbers[5]",
    "a name": "x = np.ones(3)\ny = x + undefined_name",
    "a division": "x = np.ones(3)\n1 // 0",
    "text": 'x = np.ones(3)\nint("a" + str(x.shape))',
    "types": 'x = torch.ones(3)\n(1, 2) + ["x"]',
    "an attribute": "x = torch.ones(3)\nx.foo(2)",
    "an assert": 'x = np.ones(3)\nassert x.shape == (4,), "shape is (3,), axis 0 is too short"',
    "said by the learner": 'x = np.ones(3)\nraise ValueError(f"shape (3,) and not {x.shape}")',
    "said in a function": "def f(x):\n    raise ValueError('index 27 is out of bounds for axis 0 "
    "with size 27')\nf(np.ones(3))",
    "a key": 'd = {"wte": np.ones(3)}\nd["wpe"]',
    "arguments": "x = torch.ones(3)\nlen(x, 2)",
    "recursion": "def f(x):\n    return f(x)\nf(np.ones(3))",
    "a stub": "def f(x):\n    raise NotImplementedError()\nf(np.ones(3))",
    "a quantile": "np.quantile(np.ones(3), 2.0)",
}
