/** @file pass@k: the chance that one of k generated programs passes its tests. */
import { QuernError } from "../../errors.js";

/**
 * Returns the unbiased estimate of pass@k from `total` programs of which `passed` passed (Chen et al. 2021):
 * 1 − C(total − passed, k) / C(total, k).
 *
 * @throws QuernError for k outside 1 to `total`, or more passed than there are
 */
export function passAtK(total: number, passed: number, k: number): number {
  if (!(Number.isInteger(k) && k >= 1 && k <= total)) {
    throw new QuernError(`pass@${k} needs at least ${k} programs per problem, but there are ${total}; raise repeats`);
  }
  if (!(passed >= 0 && passed <= total)) throw new QuernError(`${passed} of ${total} programs cannot have passed`);
  if (total - passed < k) return 1;
  let failed = 1;
  for (let i = total - passed + 1; i <= total; i++) failed *= 1 - k / i;
  return 1 - failed;
}
