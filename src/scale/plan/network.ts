/**
 * @file Efficiency of data-parallel training across nodes, by simulation: a step computes, then the nodes sum their gradients. The
 * time of the sum follows the model of Thakur, Rabenseifner and Gropp, "Optimization of Collective Communication Operations in
 * MPICH" (IJHPCA 19(1), 2005, sections 3 and 4): a message of n bytes takes α + nβ, and adding n bytes takes nγ. Every node sends and
 * receives at once at full bandwidth, whatever the others do.
 */

/** Bytes that Quern's ranks exchange per round (`OUTBOX_BYTES` of src/train/distributed). */
export const ROUND_BYTES = 1 << 20;

export interface Network {
  /** Seconds of a message before its first byte: α. */
  readonly latency: number;
  /** Bytes per second of a node's link, in each direction: 1/β. */
  readonly bandwidth: number;
  /** Bytes of gradients that a node adds per second: 1/γ. */
  readonly sumRate: number;
}

/** Ways to sum n bytes over p nodes; each returns seconds. */
export const ALGORITHMS = {
  /** In rounds of 1 MiB: pairwise exchange of the parts, each node adds its own, ring all-gather. So Quern does it. */
  rounds: (p: number, n: number, { latency, bandwidth, sumRate }: Network) =>
    2 * (p - 1) * Math.ceil(n / ROUND_BYTES) * latency + (2 * share(p) * n) / bandwidth + (share(p) * n) / sumRate,
  /** Ring: reduce-scatter, then all-gather, of all gradients at once. */
  ring: (p: number, n: number, { latency, bandwidth, sumRate }: Network) =>
    2 * (p - 1) * latency + (2 * share(p) * n) / bandwidth + (share(p) * n) / sumRate,
  /** Rabenseifner's: recursive halving, then recursive doubling. */
  halving: (p: number, n: number, { latency, bandwidth, sumRate }: Network) =>
    2 * Math.ceil(Math.log2(p)) * latency + (2 * share(p) * n) / bandwidth + (share(p) * n) / sumRate,
  /** Tree: recursive doubling of all gradients. */
  tree: (p: number, n: number, { latency, bandwidth, sumRate }: Network) =>
    Math.ceil(Math.log2(p)) * (latency + n / bandwidth + n / sumRate),
} as const;
export type SumAlgorithm = keyof typeof ALGORITHMS;

const share = (p: number) => (p - 1) / p;

export interface ScalingRow {
  readonly nodes: number;
  /** Seconds of the sum by each algorithm. */
  readonly sum_seconds: Readonly<Record<SumAlgorithm, number>>;
  /** Seconds of a step with Quern's algorithm. */
  readonly step_seconds: number;
  /** Seconds in which a step only communicates. */
  readonly exposed_seconds: number;
  /** Share of the time in which the nodes compute; 1 for a single node. */
  readonly efficiency: number;
  /** The same without overlap, and if the whole backward pass hid the exchange. */
  readonly efficiency_bounds: readonly [without: number, full: number];
  /** Of all nodes. */
  readonly tokens_per_second: number;
}

export interface ScalingSetup {
  /** Seconds in which a node computes one step. */
  readonly compute: number;
  /** Tokens of a node's step. */
  readonly tokens: number;
  /** Bytes of gradients that each node sums with the others. */
  readonly gradientBytes: number;
  /** Share of the backward pass during which gradients travel. */
  readonly overlap: number;
  readonly network: Network;
}

/** Share of a step's computation in the backward pass: 4 of 6 FLOPs per weight and token (Kaplan et al., arXiv:2001.08361, 2.1). */
export const BACKWARD_SHARE = 2 / 3;

/** Simulates a step on 1, 2, 4 … and `nodes` nodes, each with the same batch (weak scaling). */
export function simulateScaling(nodes: number, setup: ScalingSetup): ScalingRow[] {
  const counts = new Set([nodes]);
  for (let count = 1; count < nodes; count *= 2) counts.add(count);
  return [...counts].sort((a, b) => a - b).map((count) => simulated(count, setup));
}

function simulated(nodes: number, { compute, tokens, gradientBytes, overlap, network }: ScalingSetup): ScalingRow {
  const names = Object.keys(ALGORITHMS) as SumAlgorithm[];
  const sums = Object.fromEntries(
    names.map((name) => [name, nodes === 1 ? 0 : ALGORITHMS[name](nodes, gradientBytes, network)]),
  ) as Record<SumAlgorithm, number>;
  const exposedAt = (hidden: number) => Math.max(0, sums.rounds - hidden * BACKWARD_SHARE * compute);
  const exposed = exposedAt(overlap);
  const efficiencyOf = (seconds: number) => compute / (compute + seconds);
  return {
    ...{ nodes, sum_seconds: sums, step_seconds: compute + exposed, exposed_seconds: exposed },
    efficiency: efficiencyOf(exposed),
    efficiency_bounds: [efficiencyOf(exposedAt(0)), efficiencyOf(exposedAt(1))],
    tokens_per_second: (nodes * tokens) / (compute + exposed),
  };
}
