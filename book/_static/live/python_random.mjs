// Python's random.Random, as far as microgpt.py draws from it: the same numbers from the same seed.
//
// So the page trains from the very parameters, on the very order of names, that microgpt.py has. The
// other way would be to send both: the parameters are noise, which cannot be compressed (32 kB), and a
// shuffled list compresses less well than the list itself. This file, compressed, is 1 kB.
//
// Mersenne Twister, M. Matsumoto and T. Nishimura, 1998; what Python makes of its 32 bits is Lib/random.py.

const N = 624;
const M = 397;
const mixed = (x) => x ^ (x >>> 30);

export class Random {
  #state = new Uint32Array(N); // numbers that are stored here wrap around at 2 ** 32
  #at = N; // the next of them to be used
  #spare = null; // gauss makes two at a time

  /** seed: a whole number from 0 to 2 ** 32 - 1. */
  constructor(seed) {
    const state = this.#state;
    state[0] = 19650218;
    for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, mixed(state[i - 1])) + i;
    let i = 1;
    const next = () => {
      if (++i < N) return;
      state[0] = state[N - 1];
      i = 1;
    };
    for (let k = 0; k < N; k++, next()) state[i] = (state[i] ^ Math.imul(1664525, mixed(state[i - 1]))) + seed;
    for (let k = 1; k < N; k++, next()) state[i] = (state[i] ^ Math.imul(1566083941, mixed(state[i - 1]))) - i;
    state[0] = 0x80000000;
  }

  /** k random bits, 1 to 32, as a whole number. */
  bits(k) {
    if (this.#at === N) this.#twist();
    let x = this.#state[this.#at++];
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    x ^= x >>> 18;
    return x >>> (32 - k);
  }

  /** A number in [0, 1), of 53 random bits. */
  random() {
    const high = this.bits(27);
    return (high * 2 ** 26 + this.bits(26)) / 2 ** 53;
  }

  /** Normally distributed. */
  gauss(mean, deviation) {
    let z = this.#spare;
    this.#spare = null;
    if (z === null) {
      const angle = this.random() * 2 * Math.PI;
      const radius = Math.sqrt(-2 * Math.log(1 - this.random()));
      z = Math.cos(angle) * radius;
      this.#spare = Math.sin(angle) * radius;
    }
    return mean + z * deviation;
  }

  /** Puts the list, of fewer than 2 ** 32 items, in a random order, in place. */
  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const k = 32 - Math.clz32(i + 1);
      let j = this.bits(k);
      while (j > i) j = this.bits(k);
      [list[i], list[j]] = [list[j], list[i]];
    }
  }

  #twist() {
    const state = this.#state;
    for (let i = 0; i < N; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
      state[i] = state[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#at = 0;
  }
}
