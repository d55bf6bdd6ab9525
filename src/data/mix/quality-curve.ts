/**
 * @file Which documents of a group are seen more often: the better ones, by their place in the group's own order of quality
 * (as Dolma 3's quality-aware upsampling has it; the power curve is ours). Places are told from a histogram, so that memory
 * holds no number a document.
 */

/** Orders numbers as their quality: 2^20 bins, as fine as a float's upper 20 bits. */
export function qualityBin(quality: number): number {
  view.setFloat32(0, quality);
  const bits = view.getUint32(0);
  // Negative numbers are turned round, so that the order of bits is that of numbers.
  return (bits & 0x80000000 ? ~bits >>> 0 : (bits | 0x80000000) >>> 0) >>> 12;
}
const view = new DataView(new ArrayBuffer(4));

/** Bytes by quality. */
export class QualityHistogram {
  readonly #bins = new Map<number, number>();
  #places: Map<number, number> | undefined;
  bytes = 0;

  add(bin: number, bytes: number): void {
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + bytes);
    this.bytes += bytes;
    this.#places = undefined;
  }

  /** Bins with their bytes, the worst first. */
  get sorted(): (readonly [bin: number, bytes: number])[] {
    return [...this.#bins].sort(([a], [b]) => a - b);
  }

  /** Share of the bytes that are worse, half of the equally good ones with them: 0 to 1. */
  place(bin: number): number {
    if (this.#places === undefined) {
      this.#places = new Map();
      let below = 0;
      for (const [each, bytes] of this.sorted) {
        this.#places.set(each, (below + bytes / 2) / this.bytes);
        below += bytes;
      }
    }
    return this.#places.get(bin) ?? 0;
  }
}

/**
 * How often a document at a place is seen on average: proportional to place^power, so that the group as a whole is seen
 * `epochs` times and nothing more than `most` times. Power 0 treats all alike.
 */
export function copiesAt(
  histogram: QualityHistogram,
  { epochs, power, most }: { readonly epochs: number; readonly power: number; readonly most: number },
): (bin: number) => number {
  if (power === 0 || epochs === 0) return () => epochs;
  const bins = histogram.sorted.map(([bin, bytes]) => ({ height: histogram.place(bin) ** power, bytes }));
  const mean = (scale: number) =>
    bins.reduce((sum, { height, bytes }) => sum + bytes * Math.min(most, scale * height), 0) / histogram.bytes;
  let [low, high] = [0, 1];
  // Where all are capped, the group is seen as often as it may be.
  for (let i = 0; i < 60 && mean(high) < epochs; i++) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (mean(middle) < epochs) low = middle;
    else high = middle;
  }
  return (bin) => Math.min(most, high * histogram.place(bin) ** power);
}
