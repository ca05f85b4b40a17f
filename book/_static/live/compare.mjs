// Two texts line by line: what stands in both, what only in the first, what only in the second.
import { h } from "./dom.mjs";

const MOST = 4_000_000; // pairs of lines; of longer texts nothing is common

/** [[" " | "-" | "+", line], ...]: "-" stands only in `one`, "+" only in `other`. By longest common lines. */
export function difference(one, other) {
  const [a, b] = [one.split("\n"), other.split("\n")];
  if (a.length * b.length > MOST) return [...a.map((line) => ["-", line]), ...b.map((line) => ["+", line])];
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const found = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) found.push([" ", a[i++], j++]);
    else if (j >= b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) found.push(["-", a[i++]]);
    else found.push(["+", b[j++]]);
  }
  return found.map(([sign, line]) => [sign, line]);
}

/** The difference as an element; names: what the two texts are called. */
export function shown(one, other, names) {
  const rows = difference(one, other).map(([sign, line]) => {
    const said = { " ": "", "-": `${names[0]}: `, "+": `${names[1]}: ` }[sign];
    const spoken = said ? [h("span", { class: "live-unseen" }, said)] : [];
    return h("span", { class: { " ": "", "-": "live-one", "+": "live-other" }[sign] }, ...spoken, `${sign} ${line}\n`);
  });
  const key = h("p", {}, `Lines with - stand only in ${names[0]}, lines with + only in ${names[1]}.`);
  return h("div", { class: "live-difference" }, key, h("pre", { tabindex: 0 }, ...rows));
}
