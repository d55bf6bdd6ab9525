/** @file The shapes that a sweep trains: layers and width around a number of weights. */

export interface Shape {
  readonly layers: number;
  readonly width: number;
  /** In the layers. */
  readonly weights: number;
}

/**
 * Shapes by weights in the layers: widths of 32, 64, … with 8 to 96 of width per layer. One layer is too few: on the starter corpus
 * such models are 4 to 6 % above the law of the others.
 */
const SHAPES: readonly Shape[] = Array.from({ length: 128 }, (_, i) => 32 * (i + 1))
  .flatMap((width) => {
    const [least, most] = [Math.max(2, Math.ceil(width / 96)), Math.floor(width / 8)];
    return Array.from({ length: most - least + 1 }, (_, i) => ({
      ...{ layers: least + i, width },
      weights: 12 * width * width * (least + i),
    }));
  })
  .sort((a, b) => a.weights - b.weights);

/** Width per layer that the dial prefers, and the price of another one against a weight off the target, both as logarithms. */
const ASPECT = 40;
const ASPECT_PRICE = 0.2;

/** Sizes of a budget span a factor of four on either side of the best one. */
const SPAN = 4;

/** Returns `count` different shapes around a number of weights in the layers, smallest first. */
export function shapesAround(weights: number, count: number): Shape[] {
  const chosen: Shape[] = [];
  let from = 0;
  for (let i = 0; i < count; i++) {
    const target = count === 1 ? weights : weights * SPAN ** ((2 * i) / (count - 1) - 1);
    const cost = ({ weights: w, width, layers }: Shape) =>
      Math.abs(Math.log(w / target)) + ASPECT_PRICE * Math.abs(Math.log(width / layers / ASPECT));
    let best = from;
    // Beyond a factor of two over the target no shape can be better.
    for (let j = from; j < SHAPES.length && (j === from || SHAPES[j].weights < 4 * target); j++) {
      if (cost(SHAPES[j]) < cost(SHAPES[best])) best = j;
    }
    if (SHAPES[best] === undefined) break;
    chosen.push(SHAPES[best]);
    from = SHAPES.findIndex(({ weights: w }) => w > 1.1 * SHAPES[best].weights);
    if (from < 0) break;
  }
  return chosen;
}

/**
 * Rounds weights to a power of two, at most a factor of √2 away. Neighbouring budgets then share most of their sizes, so that
 * their programs are compiled once.
 */
export const toPowerOfTwo = (weights: number) => 2 ** Math.round(Math.log2(weights));
