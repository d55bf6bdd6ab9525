/**
 * @file Repeats better documents of a group more often, by their quantile in the group's distribution of quality. The idea is
 * Dolma 3's quality-aware upsampling; the power curve is ours. Quantiles come from a histogram, so that memory does not grow
 * with the number of documents.
 */

/** Returns the bin of a quality score, one of 2^20: the upper 20 bits of the float32. Bins are ordered like the scores. */
export function qualityBin(quality: number): number {
  view.setFloat32(0, quality);
  const bits = view.getUint32(0);
  // Invert negative numbers, so that bits compare like numbers.
  return (bits & 0x80000000 ? ~bits >>> 0 : (bits | 0x80000000) >>> 0) >>> 12;
}
const view = new DataView(new ArrayBuffer(4));

/** Histogram of bytes by quality bin. */
export class QualityHistogram {
  readonly #bins = new Map<number, number>();
  #quantiles: Map<number, number> | undefined;
  bytes = 0;

  add(bin: number, bytes: number): void {
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + bytes);
    this.bytes += bytes;
    this.#quantiles = undefined;
  }

  /** Bins with their bytes, worst first. */
  get sorted(): (readonly [bin: number, bytes: number])[] {
    return [...this.#bins].sort(([a], [b]) => a - b);
  }

  /** Returns the quantile of a bin: the share of bytes in worse bins plus half of its own, 0 to 1. */
  quantile(bin: number): number {
    if (this.#quantiles === undefined) {
      this.#quantiles = new Map();
      let below = 0;
      for (const [each, bytes] of this.sorted) {
        this.#quantiles.set(each, (below + bytes / 2) / this.bytes);
        below += bytes;
      }
    }
    return this.#quantiles.get(bin) ?? 0;
  }
}

/**
 * Returns a function from quality bin to average number of copies, proportional to quantile^power and at most `most`.
 * Over the group the average is `epochs`. Power 0 repeats all documents equally.
 */
export function copiesAt(
  histogram: QualityHistogram,
  { epochs, power, most }: { readonly epochs: number; readonly power: number; readonly most: number },
): (bin: number) => number {
  if (power === 0 || epochs === 0) return () => epochs;
  const bins = histogram.sorted.map(([bin, bytes]) => ({ height: histogram.quantile(bin) ** power, bytes }));
  const mean = (scale: number) =>
    bins.reduce((sum, { height, bytes }) => sum + bytes * Math.min(most, scale * height), 0) / histogram.bytes;
  let [low, high] = [0, 1];
  // If the target cannot be reached, all documents get `most` copies.
  for (let i = 0; i < 60 && mean(high) < epochs; i++) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (mean(middle) < epochs) low = middle;
    else high = middle;
  }
  return (bin) => Math.min(most, high * histogram.quantile(bin) ** power);
}
