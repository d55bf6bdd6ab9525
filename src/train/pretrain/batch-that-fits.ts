/** @file The batch that fits, for a program that did not. */
import type { memoryOf } from "../../backends/index.js";
import type { OutOfMemoryError } from "../../errors.js";

/**
 * Returns the largest batch below `batch` whose program fits, or 0.
 * @param bytes of the program that did not fit, with the scratch of its kernels, and those that are free
 * @param memory of the program of a batch, without scratch, which grows as the arena does
 */
export function batchThatFits(
  batch: number,
  { needed, free }: OutOfMemoryError["bytes"],
  memory: (batch: number) => ReturnType<typeof memoryOf>,
): number {
  const whole = memory(batch);
  const factor = Math.max(1, (needed - whole.state) / (whole.total - whole.state));
  const fits = (b: number) => {
    const { total, state } = memory(b);
    return state + factor * (total - state) <= free;
  };
  let [least, most] = [0, batch - 1];
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (fits(middle)) least = middle;
    else most = middle - 1;
  }
  return least;
}
