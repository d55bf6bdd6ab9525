/** @file A number with its noun, as messages for people show it. */

/**
 * Returns "1 example" or "3 examples".
 * @param many the noun after any other number; by default with an s
 */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
