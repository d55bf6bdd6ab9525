/** @file NumPy's older generator, `numpy.random.seed` and `numpy.random.choice`: the same seeds give the same draws. */
import { QuernError } from "../../errors.js";
import { PythonRandom } from "./python-random.js";

export class NumpyRandom {
  readonly #bits = new PythonRandom(0);

  /** @throws QuernError for a seed that NumPy refuses */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new QuernError(`a seed of NumPy must be a whole number from 0 to 2^32 - 1, not ${seed}`, { exitCode: 2 });
    }
    this.#bits.seedAsNumpy(seed);
  }

  /** Returns a whole number in [0, count): of the bits that `count` needs, until they are below it. 1 ≤ count ≤ 2^31 */
  below(count: number): number {
    // A single choice takes no bits.
    if (count <= 1) return 0;
    const mask = 2 ** (32 - Math.clz32(count - 1)) - 1;
    let value = (this.#bits.getrandbits(32) & mask) >>> 0;
    while (value >= count) value = (this.#bits.getrandbits(32) & mask) >>> 0;
    return value;
  }
}
