"""An exercise in C, as a chapter's checks would hold it: what the tests of C files work on.

Oracle: the reference below, sums written as the formula says them, in Python.
"""

from course.checking.c_code import c_function, c_text
from course.checking.exercise import Exercise, Misconception

PROTOTYPE = (
    "void linear_backward(double *dx, double *dw, const double *dout, const double *x, "
    "const double *w, int B, int n_in, int n_out)"
)
DX = "sum += dout[b * n_out + o] * w[o * n_in + i];"
DW = "dw[o * n_in + i] += dout[b * n_out + o] * x[b * n_in + i];"
BODY = f"""\
    for (int b = 0; b < B; b++)
        for (int i = 0; i < n_in; i++) {{
            double sum = 0;
            for (int o = 0; o < n_out; o++)
                {DX}
            dx[b * n_in + i] = sum;
        }}
    for (int b = 0; b < B; b++)
        for (int o = 0; o < n_out; o++)
            for (int i = 0; i < n_in; i++)
                {DW}
"""


def whole(body, top=""):
    """A C file with this body of `linear_backward`. top: lines above the function."""
    return f"{top}{PROTOTYPE}\n{{\n{body}}}\n"


RIGHT = whole(BODY)


def changed(old, new):
    """The right file, with one place changed."""
    assert RIGHT.count(old) == 1, old
    return RIGHT.replace(old, new)


def linear_backward(dx, dw, dout, x, w, B, n_in, n_out):
    """dx = dout @ w; dw is added to: dw + dout.T @ x."""
    rows, outputs, inputs = range(B), range(n_out), range(n_in)
    return {
        "dx": [[sum(dout[b][o] * w[o][i] for o in outputs) for i in inputs] for b in rows],
        "dw": [
            [dw[o][i] + sum(dout[b][o] * x[b][i] for b in rows) for i in inputs] for o in outputs
        ],
    }


linear_backward.source = RIGHT


def load_linear_backward(path):
    return c_function(path, PROTOTYPE)


def draw(rng):
    def rows(many, wide):
        return [[rng.gauss(0, 1) for _ in range(wide)] for _ in range(many)]

    probes = []
    for _ in range(8):
        B, n_in, n_out = rng.sample(range(1, 7), 3)
        empty = [[None] * n_in for _ in range(B)]
        arrays = rows(n_out, n_in), rows(B, n_out), rows(B, n_in), rows(n_out, n_in)
        probes.append((empty, *arrays, B, n_in, n_out))
    return probes


WRONG = {
    "overwrites dw": changed(DW, DW.replace("+=", "=")),
    "adds to dx": changed("dx[b * n_in + i] = sum", "dx[b * n_in + i] += sum"),
    "stride of x": changed(DW, DW.replace("x[b * n_in", "x[b * n_out")),
    "w as n_in rows": changed(DX, DX.replace("w[o * n_in + i]", "w[i * n_out + o]")),
    "mean": changed("= sum;", "= sum / B;"),
    "no dx": whole(BODY[BODY.index("    for (int b = 0; b < B; b++)\n        for (int o") :]),
}
EXERCISES = [
    Exercise(
        id="ch98-linear_backward_c",
        kind="file",
        title="Backward in C",
        entry="linear_backward.c",
        reference=f"{__name__}:linear_backward",
        loader=f"{__name__}:load_linear_backward",
        promise="`linear_backward` sets `dx` and adds to `dw`.",
        probes=draw,
        misconceptions=[
            Misconception(c_text(text, PROTOTYPE), f"This is the mistake: {name}.")
            for name, text in WRONG.items()
        ],
        hints=("a", "b", "`c`"),
        points=3,
    ),
    Exercise(
        id="ch98-twice",
        kind="function",
        title="twice",
        entry="twice",
        reference=f"{__name__}:twice",
        promise="`twice(n)` gives 2n.",
        probes=lambda rng: [(rng.randrange(9),) for _ in range(5)],
        hints=("a", "b", "`c`"),
    ),
]


def twice(n):
    return 2 * n
