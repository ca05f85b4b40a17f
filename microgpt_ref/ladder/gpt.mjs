// Rung 6 of the ladder: plain JavaScript. One file, no package, in node or in a web page.
//
// What changed from plain C (gpt.c). Not the algorithm: float64, every backward written by hand,
// memory planned once, no arrays made while it trains. Numbers stand in a Float64Array, which is
// what C calls an array: eight bytes a number, side by side, and no objects. One thing is arranged
// differently. gpt.c has a loop for each kind of product; here all of them, forward and backward,
// attention too, go through one function, `multiply`. A matrix is a view: numbers, how far it is
// to the next row, and how far to the next column. Its transpose is the same numbers with the two
// distances exchanged, and so the two gradients of a product are products themselves.
//
// Why it comes near C. The file holds no types and nobody compiles it, yet it does not stay
// interpreted: the interpreter alone needs some fifty times as long. A just-in-time (JIT) compiler
// watches which functions run often and which types they meet: here always a Float64Array, always
// small whole numbers as indices. It makes machine code for just these, and a check in front of
// each access: still this type, still inside the array?
//
// What it costs. First, the checks. In the innermost loop they and the indices take more
// instructions than the arithmetic, so `multiply` loads a number once and uses it two or four
// times; without that the file takes twice as long. Second, one number an instruction: this JIT
// looks for no loop that vectors could do (SIMD). Third, warm-up. The first step takes longer than
// a hundred later ones, and some two hundred go by until most of the work is compiled. So time it
// cold and warm, and say which.
//
// Shapes: T positions of one document, C = n_embd, V = vocab_size, H = n_head, B = block_size. A
// weight has rows of outputs over columns of inputs. dX is the gradient of the loss by X.

const BETA1 = 0.85;
const BETA2 = 0.99;

// ---- matrices --------------------------------------------------------------------------------

/** A view of numbers: element (r, c) is data[r * row + c * col]. T is its transpose. */
class Matrix {
  constructor(data, row, col = 1, T = null) {
    this.data = data;
    this.row = row;
    this.col = col;
    this.T = T ?? new Matrix(data, col, row, this);
  }
}

/** New room for rows x cols numbers, all 0. */
function room(rows, cols) {
  return new Matrix(new Float64Array(rows * cols), cols);
}

/**
 * out (rows, cols) = a (rows, inner) times b (inner, cols); with `add`, added to what is in out.
 * Works on tiles of 2 x 4 results: eight sums stay in registers, and six numbers that are loaded
 * give eight products. At the edge of the matrix the tile's last rows and columns lie on each
 * other: the same number is computed twice and stored twice.
 */
function multiply(out, a, b, rows, cols, inner, add = false) {
  const o = out.data, x = a.data, w = b.data;
  const aCol = a.col, bRow = b.row;
  for (let r = 0; r < rows; r += 2) {
    const r1 = Math.min(1, rows - 1 - r);
    const a1 = r1 * a.row;
    for (let c = 0; c < cols; c += 4) {
      const left = cols - 1 - c;
      const c1 = Math.min(1, left), c2 = Math.min(2, left), c3 = Math.min(3, left);
      const b1 = c1 * b.col, b2 = c2 * b.col, b3 = c3 * b.col;
      const at = r * out.row + c;
      const below = at + r1 * out.row;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
      if (add) {
        s0 = o[at], s1 = o[at + c1], s2 = o[at + c2], s3 = o[at + c3];
        t0 = o[below], t1 = o[below + c1], t2 = o[below + c2], t3 = o[below + c3];
      }
      const end = r * a.row + inner * aCol;
      for (let i = r * a.row, j = c * b.col; i < end; i += aCol, j += bRow) {
        const x0 = x[i], x1 = x[i + a1];
        const w0 = w[j], w1 = w[j + b1], w2 = w[j + b2], w3 = w[j + b3];
        s0 += x0 * w0, s1 += x0 * w1, s2 += x0 * w2, s3 += x0 * w3;
        t0 += x1 * w0, t1 += x1 * w1, t2 += x1 * w2, t3 += x1 * w3;
      }
      o[at] = s0, o[at + c1] = s1, o[at + c2] = s2, o[at + c3] = s3;
      o[below] = t0, o[below + c1] = t1, o[below + c2] = t2, o[below + c3] = t3;
    }
  }
}

// ---- layers ----------------------------------------------------------------------------------

/** out (T, nOut) = x (T, nIn) times weight (nOut, nIn); with `add`, added to what is in out. */
function linearForward(out, x, weight, T, nIn, nOut, add) {
  multiply(out, x, weight.T, T, nOut, nIn, add);
}

/** Adds to dweight; dx (T, nIn) from dout (T, nOut), with `add` added to what is in dx. */
function linearBackward(dx, dweight, dout, x, weight, T, nIn, nOut, add) {
  multiply(dweight, dout.T, x, nOut, nIn, T, true);
  multiply(dx, dout, weight, T, nIn, nOut, add);
}

/** out (T, C) = x (T, C), each row brought to a root mean square of 1; scale (T): the factors. */
function rmsnormForward(out, scale, x, T, C) {
  for (let t = 0; t < T; t++) {
    const end = (t + 1) * C;
    let sum = 0;
    for (let i = t * C; i < end; i++) sum += x[i] * x[i];
    scale[t] = 1 / Math.sqrt(sum / C + 1e-5);
    for (let i = t * C; i < end; i++) out[i] = x[i] * scale[t];
  }
}

/** dx = the gradient by x, given dout; with `add`, added to what is in dx. All (T, C). */
function rmsnormBackward(dx, dout, out, scale, T, C, add) {
  for (let t = 0; t < T; t++) {
    const end = (t + 1) * C;
    let along = 0; // a change of x along itself is taken away again by the norm
    for (let i = t * C; i < end; i++) along += dout[i] * out[i];
    along /= C;
    for (let i = t * C; i < end; i++) {
      const gradient = scale[t] * (dout[i] - along * out[i]);
      dx[i] = add ? dx[i] + gradient : gradient;
    }
  }
}

/** In place: the n numbers from `at` on, times scale > 0, become probabilities. */
function softmax(x, at, n, scale) {
  let largest = x[at]; // keeps exp from overflowing, and cancels out
  for (let i = at; i < at + n; i++) if (x[i] > largest) largest = x[i];
  let sum = 0;
  for (let i = at; i < at + n; i++) {
    x[i] = Math.exp(scale * (x[i] - largest));
    sum += x[i];
  }
  for (let i = at; i < at + n; i++) x[i] /= sum;
}

/** One head: q, k, v (T, size) -> mixed (T, size). Leaves weights (T, T), 0 for later positions. */
function attentionForward({ q, k, v, weights, mixed }, T, size) {
  const w = weights.data;
  multiply(weights, q, k.T, T, T, size);
  for (let t = 0; t < T; t++) {
    const at = t * weights.row;
    softmax(w, at, t + 1, 1 / Math.sqrt(size));
    for (let s = t + 1; s < T; s++) w[at + s] = 0;
  }
  multiply(mixed, weights, v, T, size, T);
}

/** One head: dmixed -> dq, dk, dv, all (T, size). `dweights` is room for (T, T). */
function attentionBackward(dhead, dweights, { q, k, v, weights }, T, size) {
  const { q: dq, k: dk, v: dv, mixed: dmixed } = dhead;
  const w = weights.data;
  const dw = dweights.data;
  multiply(dv, weights.T, dmixed, T, size, T);
  multiply(dweights, dmixed, v.T, T, T, size);
  for (let t = 0; t < T; t++) {
    const at = t * weights.row;
    let mean = 0; // a softmax feels differences only: so minus the mean
    for (let i = at; i <= at + t; i++) mean += w[i] * dw[i];
    for (let i = at; i < at + T; i++) dw[i] = (w[i] * (dw[i] - mean)) / Math.sqrt(size);
  }
  multiply(dq, dweights, k, T, size, T);
  multiply(dk, dweights.T, q, T, size, T);
}

// ---- the model -------------------------------------------------------------------------------

const PARTS = ["attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2"];

/** Stops with an Error of one sentence where something is not right. */
function insist(right, sentence) {
  if (!right) throw new Error(sentence);
}

/** The sizes of the model with these matrices, once each of them has been looked at. */
function sizesOf(stateDict, H) {
  const size = (name) => [stateDict?.[name]?.length || 0, stateDict?.[name]?.[0]?.length || 0];
  const [[V, C], [B], [hidden]] = [size("wte"), size("wpe"), size("layer0.mlp_fc1")];
  const shapes = { wte: [V, C], wpe: [B, C], lm_head: [V, C] };
  let L = 0;
  do {
    for (const part of PARTS) shapes[`layer${L}.${part}`] = [C, C];
    shapes[`layer${L}.mlp_fc1`] = [hidden, C];
    shapes[`layer${L}.mlp_fc2`] = [C, hidden];
    L++;
  } while (size(`layer${L}.attn_wq`)[0] > 0);
  for (const [name, [rows, cols]] of Object.entries(shapes)) {
    const matrix = stateDict?.[name];
    const fits = (row) => Array.isArray(row) && row.length === cols && row.every(Number.isFinite);
    const right = Array.isArray(matrix) && rows * cols > 0 && matrix.length === rows && matrix.every(fits);
    insist(right, `The matrix ${name} must be ${rows || "some"} rows of ${cols || "some"} finite numbers.`);
  }
  const other = Object.keys(stateDict).find((name) => !(name in shapes));
  insist(other === undefined, `A model with ${L} layer${L > 1 ? "s" : ""} has no matrix called ${other}.`);
  insist(Number.isInteger(H) && H > 0 && C % H === 0, `The number of heads must divide n_embd = ${C}; ${H} does not.`);
  return { V, B, C, L, H, hidden };
}

/** Room for one layer's attention. A head is a view of its own columns of q, k, v and mixed. */
function attentionRoom({ B, C, H }) {
  const [q, k, v, mixed] = [room(B, C), room(B, C), room(B, C), room(B, C)];
  const heads = Array.from({ length: H }, (_, h) => {
    const columns = (whole) => new Matrix(whole.data.subarray((h * C) / H), C);
    return { q: columns(q), k: columns(k), v: columns(v), mixed: columns(mixed), weights: room(B, B) };
  });
  return { q, k, v, mixed, heads };
}

/** The whole memory plan: every array that training touches, made here and never again. */
function plan(stateDict, nHead) {
  const sizes = sizesOf(stateDict, nHead);
  const { V, B, C, L, H, hidden } = sizes;
  const all = Object.values(stateDict).flat(2);
  const [params, grads, m, v] = [all, all.length, all.length, all.length].map((x) => new Float64Array(x));
  const [w, dw] = [{}, {}]; // views of params and of grads, by name
  let at = 0;
  for (const [name, { length, 0: row }] of Object.entries(stateDict)) {
    const end = at + length * row.length;
    w[name] = new Matrix(params.subarray(at, end), row.length);
    dw[name] = new Matrix(grads.subarray(at, end), row.length);
    at = end;
  }
  const layers = Array.from({ length: L }, (_, l) => {
    const own = (named) => Object.fromEntries(PARTS.map((part) => [part, named[`layer${l}.${part}`]]));
    const { q, k, v, mixed, heads } = attentionRoom(sizes);
    return {
      w: own(w), dw: own(dw), q, k, v, mixed, heads, hidden: room(B, hidden),
      h1: room(B, C), scale1: room(1, B).data, h2: room(B, C), scale2: room(1, B).data,
    };
  });
  // Every name spelled out, no `...`: so all plans have one form, and the JIT's code fits each.
  return {
    V, B, C, L, H, hidden, params, grads, m, v, w, dw, layers,
    x0: room(B, C), scale: room(1, B).data, x: room(B, C), logits: room(B, V), // forward
    dx: room(B, C), dh: room(B, C), dhidden: room(B, hidden), dweights: room(B, B), // backward
    d: attentionRoom(sizes),
  };
}

/** Leaves in g.logits (T, V) the probabilities of the token after each of the first T. */
function forward(g, tokens, T, temperature = 1) {
  const { C, V, H, x, x0 } = g;
  const wte = g.w.wte.data;
  const wpe = g.w.wpe.data;
  for (let t = 0; t < T; t++)
    for (let i = 0; i < C; i++) x.data[t * C + i] = wte[tokens[t] * C + i] + wpe[t * C + i];
  rmsnormForward(x0.data, g.scale, x.data, T, C);
  for (let i = 0; i < T * C; i++) x.data[i] = x0.data[i];
  for (const a of g.layers) {
    const w = a.w;
    rmsnormForward(a.h1.data, a.scale1, x.data, T, C);
    linearForward(a.q, a.h1, w.attn_wq, T, C, C);
    linearForward(a.k, a.h1, w.attn_wk, T, C, C);
    linearForward(a.v, a.h1, w.attn_wv, T, C, C);
    for (const head of a.heads) attentionForward(head, T, C / H);
    linearForward(x, a.mixed, w.attn_wo, T, C, C, true); // x stays: a residual connection
    rmsnormForward(a.h2.data, a.scale2, x.data, T, C);
    linearForward(a.hidden, a.h2, w.mlp_fc1, T, C, g.hidden);
    const h = a.hidden.data;
    for (let i = 0; i < T * g.hidden; i++) if (h[i] < 0) h[i] = 0;
    linearForward(x, a.hidden, w.mlp_fc2, T, g.hidden, C, true);
  }
  linearForward(g.logits, x, g.w.lm_head, T, C, V);
  for (let t = 0; t < T; t++) softmax(g.logits.data, t * V, V, 1 / temperature);
}

/** After forward(): returns share * loss (nats) and adds its gradient to g.grads. */
function backward(g, tokens, T, share) {
  const { C, V, H, x, dx, dh, d } = g;
  const p = g.logits.data;
  let loss = 0;
  for (let t = 0; t < T; t++) {
    loss -= Math.log(p[t * V + tokens[t + 1]]);
    p[t * V + tokens[t + 1]] -= 1; // what the model expected, minus what happened
  }
  for (let i = 0; i < T * V; i++) p[i] *= share / T;
  linearBackward(dx, g.dw.lm_head, g.logits, x, g.w.lm_head, T, C, V);
  for (let l = g.L - 1; l >= 0; l--) {
    const a = g.layers[l];
    const { w, dw } = a;
    const h = a.hidden.data;
    const dhidden = g.dhidden.data;
    linearBackward(g.dhidden, dw.mlp_fc2, dx, a.hidden, w.mlp_fc2, T, g.hidden, C);
    for (let i = 0; i < T * g.hidden; i++) if (h[i] <= 0) dhidden[i] = 0;
    linearBackward(dh, dw.mlp_fc1, g.dhidden, a.h2, w.mlp_fc1, T, C, g.hidden);
    rmsnormBackward(dx.data, dh.data, a.h2.data, a.scale2, T, C, true);
    linearBackward(d.mixed, dw.attn_wo, dx, a.mixed, w.attn_wo, T, C, C);
    for (let i = 0; i < H; i++) attentionBackward(d.heads[i], g.dweights, a.heads[i], T, C / H);
    linearBackward(dh, dw.attn_wq, d.q, a.h1, w.attn_wq, T, C, C);
    linearBackward(dh, dw.attn_wk, d.k, a.h1, w.attn_wk, T, C, C, true);
    linearBackward(dh, dw.attn_wv, d.v, a.h1, w.attn_wv, T, C, C, true);
    rmsnormBackward(dx.data, dh.data, a.h1.data, a.scale1, T, C, true);
  }
  rmsnormBackward(dx.data, dx.data, g.x0.data, g.scale, T, C, false);
  const dwte = g.dw.wte.data;
  const dwpe = g.dw.wpe.data;
  for (let t = 0; t < T; t++)
    for (let i = 0; i < C; i++) {
      dwte[tokens[t] * C + i] += dx.data[t * C + i];
      dwpe[t * C + i] += dx.data[t * C + i];
    }
  return (share * loss) / T;
}

// ---- training and sampling -------------------------------------------------------------------

/** Adam (Kingma and Ba, 2014), and the gradients back to 0. What all share is computed once. */
function adam({ params, grads, m, v }, step, learningRate) {
  const rate = learningRate / (1 - BETA1 ** (step + 1));
  const fill = 1 / (1 - BETA2 ** (step + 1));
  const n = params.length;
  for (let i = 0; i < n; i++) {
    const gradient = grads[i];
    const mi = BETA1 * m[i] + (1 - BETA1) * gradient;
    const vi = BETA2 * v[i] + (1 - BETA2) * gradient * gradient;
    m[i] = mi;
    v[i] = vi;
    params[i] -= (rate * mi) / (Math.sqrt(vi * fill) + 1e-8);
    grads[i] = 0;
  }
}

/** The rows of a matrix as arrays of numbers: a copy. */
function rowsOf({ data, row }, rows, cols) {
  return Array.from({ length: rows }, (_, r) => [...data.subarray(r * row, r * row + cols)]);
}

/** Whether these are at least `least` ids of a vocabulary of V. */
function areTokens(tokens, least, V) {
  const known = (token) => Number.isInteger(token) && token >= 0 && token < V;
  return Array.isArray(tokens) && tokens.length >= least && tokens.every(known);
}

/**
 * A model that learns, one step at a time, so that a page can draw between two steps.
 *
 * stateDict: name -> matrix, an array of rows, names and order as in microgpt.py; it stays as it
 * is. tokenDocs: arrays of token ids, BOS (the last id, V - 1) at both ends. batchSize: documents
 * in a step. totalSteps: over so many steps the learning rate falls from 0.01 to 0. nHead: H. All
 * other sizes are read off the matrices. Throws an Error with one sentence for what is wrong.
 */
export class Trainer {
  constructor(stateDict, tokenDocs, { batchSize = 1, totalSteps = 1000, nHead = 4 } = {}) {
    const whole = Number.isInteger(batchSize) && batchSize > 0;
    insist(whole, `The batch size must be a whole number above 0, not ${batchSize}.`);
    this.g = plan(stateDict, nHead);
    const some = Array.isArray(tokenDocs) && tokenDocs.length > 0;
    insist(some, "There must be at least one document to learn from.");
    const bad = tokenDocs.findIndex((tokens) => !areTokens(tokens, 2, this.g.V));
    insist(bad < 0, `Document ${bad} must be two or more tokens, whole numbers from 0 to ${this.g.V - 1}.`);
    Object.assign(this, { tokenDocs, batchSize, totalSteps, steps: 0 });
  }

  /** Learns the next batch; returns its loss (nats), from before the update. */
  step() {
    const { g, tokenDocs, batchSize, totalSteps, steps } = this;
    insist(steps < totalSteps, `The learning rate is 0 after ${totalSteps} steps; for more, raise the total.`);
    let loss = 0;
    for (let i = 0; i < batchSize; i++) {
      const tokens = tokenDocs[(steps * batchSize + i) % tokenDocs.length];
      const T = Math.min(g.B, tokens.length - 1);
      forward(g, tokens, T);
      loss += backward(g, tokens, T, 1 / batchSize);
    }
    adam(g, steps, 0.01 * (1 - steps / totalSteps));
    this.steps++;
    return loss;
  }

  /** The matrices as they are now: name -> array of rows, a copy. */
  stateDict() {
    const rows = ([name, w]) => [name, rowsOf(w, w.data.length / w.row, w.row)];
    return Object.fromEntries(Object.entries(this.g.w).map(rows));
  }

  /**
   * What the model makes of T tokens, BOS first, T from 1 to B. probabilities (T, V): row t is for
   * the token after tokens[t]. attention (L, H, T, T): row t is how much position t takes from
   * each position; those after it have 0. Every row sums to 1.
   */
  look(tokens) {
    const { g } = this;
    const right = areTokens(tokens, 1, g.V) && tokens.length <= g.B;
    insist(right, `Give 1 to ${g.B} tokens, whole numbers from 0 to ${g.V - 1}.`);
    const T = tokens.length;
    forward(g, tokens, T);
    const attention = g.layers.map(({ heads }) => heads.map(({ weights }) => rowsOf(weights, T, T)));
    return { probabilities: rowsOf(g.logits, T, g.V), attention };
  }

  /**
   * A new document: at most B token ids, no BOS. random() gives numbers in [0, 1). A low
   * temperature keeps to what is likely. For each letter the whole beginning is computed anew.
   */
  sample(random, temperature = 0.5) {
    insist(temperature > 0, `The temperature must be above 0, not ${temperature}.`);
    const { B, V, logits } = this.g;
    const tokens = [V - 1];
    while (tokens.length <= B) {
      forward(this.g, tokens, tokens.length, temperature);
      const p = logits.data.subarray((tokens.length - 1) * V);
      const u = random();
      let token = 0; // the first one at which the running sum passes u
      for (let sum = p[0]; sum <= u && token < V - 1; sum += p[token]) token++;
      if (token === V - 1) break;
      tokens.push(token);
    }
    return tokens.slice(1);
  }
}

/**
 * Trains numSteps steps: {losses, stateDict}, one loss a step (nats) and the trained matrices. The
 * arguments are those of Trainer, and are left as they are.
 */
export function train(stateDict, tokenDocs, numSteps, { batchSize = 1, totalSteps = numSteps, nHead = 4 } = {}) {
  const whole = Number.isInteger(numSteps) && numSteps >= 0;
  insist(whole, `The number of steps must be a whole number from 0 on, not ${numSteps}.`);
  const trainer = new Trainer(stateDict, tokenDocs, { batchSize, totalSteps, nHead });
  const losses = Array.from({ length: numSteps }, () => trainer.step());
  return { losses, stateDict: trainer.stateDict() };
}
