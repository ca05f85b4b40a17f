"""The Python face of rung 6: node runs `gpt.mjs`, this file hands it numbers and takes them back.

    train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4)
        -> (losses, state_dict)
    with Session() as session:            # one node process, warm from its second call on
        session.train(...)                # the same arguments and result as train
        session.seconds                   # of the processor, in the steps of the last call only
        session.peak_bytes                # the most memory that node has held so far

Two programs need a way to talk. Here one writes a line of JSON, the other reads it and answers
with a line. JSON is text, yet no digit is lost: Python and JavaScript both write the shortest
decimal that is read back as the very same float64. Such a line takes longer than ten training
steps, and starting node longer than a hundred. So whoever measures keeps a Session, and reads the
time that node itself took between the first step and the last. Standard library only.
"""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

GPT = Path(__file__).resolve().with_name("gpt.mjs")
OLDEST = 14  # the first node that reads all of gpt.mjs

# What node runs. It says which node it is, then answers each line of its input with a line.
DRIVER = r"""
const gpt = import(require("url").pathToFileURL(process.argv[1]).href);
const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");

function train(Trainer, { state_dict, token_docs, num_steps, ...options }) {
  const trainer = new Trainer(state_dict, token_docs, options);
  const losses = [];
  const before = process.cpuUsage();
  while (losses.length < num_steps) losses.push(trainer.step());
  const { user, system } = process.cpuUsage(before); // microseconds, of all threads
  const trained = trainer.stateDict();
  const numbers = [losses, Object.values(trained)].flat(3);
  if (!numbers.every(Number.isFinite))
    throw new RangeError("The training ran away: a loss or a parameter is infinite or NaN.");
  return { losses, state_dict: trained, seconds: (user + system) / 1e6, peak_bytes: peakBytes() };
}

function peakBytes() {
  // On Linux the system's own counter, maxRSS, includes the memory of whoever started node.
  try {
    return 1024 * /VmHWM:\s*(\d+)/.exec(require("fs").readFileSync("/proc/self/status", "utf8"))[1];
  } catch (missing) {
    return 1024 * process.resourceUsage().maxRSS;
  }
}

say({ node: process.versions.node });
require("readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const { Trainer } = await gpt;
  try {
    say(train(Trainer, JSON.parse(line)));
  } catch (error) {
    say({ error: error.message, wrong_input: error.constructor === Error });
  }
});
"""


def train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
    """Train with gpt.mjs in a node of its own: (losses in nats, trained state_dict).

    Arguments and result are those of every rung, see `microgpt_ref.ladder`. Raises
    FileNotFoundError where there is no node, RuntimeError where it is too old or breaks down,
    ValueError with what is wrong with the arguments.
    """
    with Session() as session:
        return session.train(
            state_dict,
            token_docs,
            num_steps,
            batch_size=batch_size,
            total_steps=total_steps,
            n_head=n_head,
        )


class Session:
    """A node process that stays alive, so that its compiled code stays warm from call to call.

    `seconds`: processor time of the last call's training steps, all of node's threads; neither
    start nor JSON. `peak_bytes`: the most memory that node has held. Use it in a `with`, or close
    it. Raises FileNotFoundError where there is no node, RuntimeError where it does not start.
    """

    def __init__(self):
        node = shutil.which("node")
        if node is None:
            raise FileNotFoundError(
                "There is no Node.js (`node`) on this machine, and the JavaScript rung needs it; "
                "the other rungs run without. It can be had from nodejs.org."
            )
        self.seconds, self.peak_bytes = 0.0, 0
        self._node = subprocess.Popen(
            [node, "-e", DRIVER, str(GPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        version = self._hear()["node"]
        if int(version.split(".")[0]) < OLDEST:
            self.close()
            raise RuntimeError(
                f"gpt.mjs needs Node.js {OLDEST} or newer, and this machine has {version}; "
                "a newer one can be had from nodejs.org."
            )

    def train(self, state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
        """(losses in nats, trained state_dict); raises as the function `train` does."""
        for name, given, least in (("num_steps", num_steps, 0), ("batch_size", batch_size, 1)):
            if not isinstance(given, int) or given < least:
                raise ValueError(f"{name} must be a whole number from {least} on, not {given!r}.")
        request = {
            "state_dict": state_dict,
            "num_steps": num_steps,
            "batchSize": batch_size,
            "totalSteps": total_steps or num_steps,
            "nHead": n_head,
        }
        try:
            # Further documents would be read by no step.
            request["token_docs"] = token_docs[: max(1, num_steps * batch_size)]
            line = json.dumps(request, allow_nan=False)
        except (TypeError, ValueError) as why:
            raise ValueError(
                f"state_dict must map names to matrices, lists of rows of finite numbers, and "
                f"token_docs be a list of lists of token ids ({why})."
            ) from None
        answer = self._hear(line + "\n")
        if "error" in answer:
            raise (ValueError if answer["wrong_input"] else RuntimeError)(answer["error"])
        self.seconds, self.peak_bytes = answer["seconds"], int(answer["peak_bytes"])
        return answer["losses"], answer["state_dict"]

    def _hear(self, line=""):
        """What node answers to this line. Whatever goes wrong in between ends the session."""
        if self._node.stdin.closed:
            raise RuntimeError("This session is closed; make another one.")
        try:
            with contextlib.suppress(OSError):  # node has gone: then there is no answer either
                self._node.stdin.write(line)
                self._node.stdin.flush()
            # JavaScript writes 1.0 as 1, having one kind of number only.
            return json.loads(self._node.stdout.readline(), parse_int=float)
        except BaseException as why:  # Ctrl-C too: a late answer would be taken for the next one
            self._node.kill()
            said = self._node.stderr.read()
            self.close()
            if not isinstance(why, json.JSONDecodeError):
                raise
            reason = next((part for part in said.splitlines() if "rror" in part), "it said nothing")
            raise RuntimeError(f"node broke down: {reason.strip()}") from None

    def close(self):
        """End node. Safe to call twice."""
        for pipe in (self._node.stdin, self._node.stdout, self._node.stderr):
            with contextlib.suppress(OSError):
                pipe.close()  # the end of its input ends it
        self._node.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
