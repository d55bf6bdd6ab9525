/**
 * @file The fit of Chinchilla's 240 points: 4,500 starts and 4,000 bootstrap refits, beside SciPy's `minimize` (BFGS) on the same
 * objective (bench/peers/scipy_law.py, which runs a part of the starts and scales its time).
 *   npm run bench:scale [-- --rounds 3 --starts 60]
 * QUERN_SCIPY_PYTHON names a Python with SciPy.
 */
import { readFileSync } from "node:fs";
import { publishedGrid } from "../src/scale/fit/objective.js";
import { bootstrapParametric, fitParametric } from "../src/scale/fit/parametric.js";
import { flags, machineLine, median, runPeer } from "./measure.js";

const { rounds, starts, threads } = flags({ rounds: 3, starts: 60, threads: 2 });
const path = "test/oracle/fixtures/scale/chinchilla.csv";
const runs = readFileSync(path, "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split(",").map(Number))
  .sort(([, , a], [, , b]) => a - b)
  .slice(0, 240);
const points = {
  logN: Float64Array.from(runs, ([params]) => Math.log(params)),
  logD: Float64Array.from(runs, ([params, flops]) => Math.log(flops / (6 * params))),
  logL: Float64Array.from(runs, ([, , loss]) => Math.log(loss)),
};

const python = process.env.QUERN_SCIPY_PYTHON;
if (!python) console.error("no comparison: QUERN_SCIPY_PYTHON must name a Python with SciPy");
const seconds = { fit: [] as number[], bootstrap: [] as number[] };
let fit = null as Awaited<ReturnType<typeof fitParametric>> | null;
interface PeerResult {
  readonly seconds: number;
  readonly starts: number;
  readonly objective: number;
}
const peers: PeerResult[] = [];
for (let round = 0; round < rounds; round++) {
  const begin = performance.now();
  fit = await fitParametric(points, { threads });
  const middle = performance.now();
  await bootstrapParametric(points, fit.theta, { draws: 4000, seed: round, threads });
  seconds.fit.push((middle - begin) / 1000);
  seconds.bootstrap.push((performance.now() - middle) / 1000);
  if (!python) continue;
  peers.push(runPeer<PeerResult>(python, "bench/peers/scipy_law.py", [path, String(starts)]));
}
const grid = publishedGrid().length;
const times = { fit: median(seconds.fit), bootstrap: median(seconds.bootstrap) };
console.log(
  `fit, ${grid} starts, ${threads} threads      ${times.fit.toFixed(2)} s   objective ${fit?.objective.toPrecision(9)}`,
);
console.log(`bootstrap, 4000 refits            ${times.bootstrap.toFixed(2)} s`);
let ratio: number | null = null;
const peer = peers.at(-1);
if (peer !== undefined) {
  const peerSeconds = median(peers.map((each) => each.seconds));
  const whole = (peerSeconds * grid) / peer.starts;
  ratio = whole / times.fit;
  console.log(
    `SciPy, ${peer.starts} of the starts           ${peerSeconds.toFixed(2)} s, so ${whole.toFixed(0)} s for all   best objective ${peer.objective.toPrecision(9)}`,
  );
  console.log(`ratio                             ${ratio.toFixed(0)} ×`);
}
console.log(await machineLine());
console.log(JSON.stringify({ bench: "scale", ...times, ratio, objective: fit?.objective, threads, rounds }));
