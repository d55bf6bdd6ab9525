import { describe, expect, it } from "vitest";
import { ALGORITHMS, planTraining, simulateScaling } from "../../../src/scale/index.js";

/** α = 1 s, 1 MB/s, and 2 MB of gradients added per second. */
const slow = { latency: 1, bandwidth: 1e6, sumRate: 2e6 };

describe("the time of a sum over nodes", () => {
  it("follows Thakur et al. 2005, worked out by hand for 4 nodes and 4 MB", () => {
    const seconds = Object.fromEntries(Object.entries(ALGORITHMS).map(([name, time]) => [name, time(4, 4e6, slow)]));
    // Bandwidth: 2 · 3/4 · 4 s = 6 s; adding: 3/4 · 2 s = 1.5 s. Messages: 6 per ring, in each of 4 rounds; 4 by halving.
    expect(seconds).toEqual({ rounds: 24 + 7.5, ring: 6 + 7.5, halving: 4 + 7.5, tree: 2 * (1 + 4 + 2) });
  });
});

describe("simulateScaling", () => {
  const setup = { compute: 9, tokens: 100, gradientBytes: 4e6, network: { ...slow, latency: 0 } };

  it("hides the exchange under the given share of the backward pass", () => {
    // The sum takes 7.5 s on 4 nodes, the backward pass 6 s.
    const at = (overlap: number) => simulateScaling(4, { ...setup, overlap }).at(-1);
    expect(at(0)).toMatchObject({ nodes: 4, exposed_seconds: 7.5, step_seconds: 16.5, efficiency: 9 / 16.5 });
    expect(at(0.5)).toMatchObject({ exposed_seconds: 4.5, efficiency_bounds: [9 / 16.5, 9 / 10.5] });
    expect(at(1)?.tokens_per_second).toBeCloseTo(400 / 10.5, 9);
  });

  it("gives 1, 2, 4 … nodes and the last; a single node exchanges nothing", () => {
    const rows = simulateScaling(6, { ...setup, overlap: 0 });
    expect(rows.map(({ nodes }) => nodes)).toEqual([1, 2, 4, 6]);
    expect(rows[0]).toMatchObject({ efficiency: 1, exposed_seconds: 0, sum_seconds: { ring: 0 } });
  });
});

describe("planTraining with nodes", () => {
  const common = { params: "124M", tokens: "1B", hardware: "cpu", sequence: 1024, batch: 4, nodes: 64 };

  it("takes the measured throughput of a node, and the network", async () => {
    const { gpus, scaling } = await planTraining({ ...common, tokensPerSecond: 512, network: 25, latency: 0 });
    expect(gpus).toBe(64);
    expect(scaling).toMatchObject({ compute_seconds: 8, tokens_per_step: 4096, gradient_bytes: 496e6 });
    const seconds = ((2 * 63) / 64) * (496e6 / 3.125e9) + (63 / 64) * (496e6 / 1e9);
    expect(scaling?.rows.at(-1)?.exposed_seconds).toBeCloseTo(seconds, 9);
    expect(scaling?.assumptions.join()).toMatch(/512 tokens\/s \(as given\).*25 Gb\/s.*--overlap 0/);
  });

  it("sends only adapters, and half as much again with ZeRO 3", async () => {
    const at = async (more: object) => (await planTraining({ ...common, latency: 0, ...more })).scaling;
    const [all, adapters, three] = [await at({}), await at({ lora: 8 }), await at({ zero: 3 })];
    expect(adapters?.gradient_bytes).toBeLessThan(0.02 * (all?.gradient_bytes as number));
    const last = (scaling: typeof all) => scaling?.rows.at(-1)?.exposed_seconds as number;
    expect(last(three) / last(all)).toBeCloseTo(1.5, 9);
  });

  it("refuses devices that the nodes cannot share, and a throughput without nodes", async () => {
    await expect(planTraining({ ...common, gpus: 65 })).rejects.toThrow("--gpus 65 is not a multiple of --nodes 64");
    await expect(planTraining({ ...common, nodes: undefined, tokensPerSecond: 5 })).rejects.toThrow("needs --nodes");
  });
});
