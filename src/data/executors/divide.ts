/** @file Tasks shared out to the elements of an array: one each, or neighbours together where there are more tasks. */

/** At most `most` parts, in order, none empty, whose sizes differ by one at most. */
export function divide<T>(tasks: readonly T[], most: number): T[][] {
  const parts = Math.min(tasks.length, most);
  const at = (part: number) => Math.floor((part * tasks.length) / parts);
  return Array.from({ length: parts }, (_, part) => tasks.slice(at(part), at(part + 1)));
}
