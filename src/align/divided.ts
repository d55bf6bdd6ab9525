/** @file Work on the batches of a step that the ranks divide, and whose results all of them need. */
import type { Ranks } from "../train/index.js";

/** Whether this rank works on batch `place` of a step. */
export const isOwn = (place: number, { rank, size }: Pick<Ranks, "rank" | "size">): boolean => place % size === rank;

/**
 * Computes `width` numbers for each of `count` batches, each on the rank that the batch belongs to. Returns those of all batches, in
 * their order, on every rank.
 */
export async function divided(
  ranks: Ranks,
  count: number,
  width: number,
  compute: (place: number) => Promise<ArrayLike<number>>,
): Promise<number[][]> {
  const rounds = Math.ceil(count / ranks.size);
  const own = new Float64Array(rounds * width);
  for (let place = ranks.rank; place < count; place += ranks.size) {
    own.set(await compute(place), Math.floor(place / ranks.size) * width);
  }
  const all = await ranks.gatherNumbers(own);
  return Array.from({ length: count }, (_, place) => {
    const start = Math.floor(place / ranks.size) * width;
    return Array.from(all[place % ranks.size].subarray(start, start + width));
  });
}
