/** @file `npm run test:fuzz [-- --inputs N --seed S --reader NAME --keep FOLDER]`, after scripts/test-fuzz.mjs has built it. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { faultText, LEAST_REACHED, readerNames, runReader } from "./run.js";

const built = resolve(import.meta.dirname, "..", "..");
const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    reader: { type: "string", multiple: true },
    keep: { type: "string" },
  },
});
const names = readerNames(built);
const wanted = values.reader ?? names;
const numbers = [Number(values.inputs), Number(values.seed)];
const unknown = wanted.find((name) => !names.includes(name) && name !== "planted");
if (unknown !== undefined || !numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) {
  console.error(`--inputs and --seed are numbers; the readers are ${names.join(", ")}`);
  process.exit(2);
}
const [inputs, seed] = numbers;

let passed = 0;
let failed = 0;
const fail = (text: string) => {
  failed += 1;
  console.log(text);
};
const waiting = [...wanted];
async function work(): Promise<void> {
  for (let reader = waiting.shift(); reader !== undefined; reader = waiting.shift()) {
    const commands = inputs >= 100 ? 5 : 1;
    const { keep } = values;
    const report = await runReader(reader, { built, inputs, seed, commands, ...(keep === undefined ? {} : { keep }) });
    const { reached, faults, seconds, slowest } = report;
    const share = reached / Math.max(1, report.inputs);
    const slow = `slowest ${slowest.milliseconds.toFixed(0)} ms (seed ${slowest.seed})`;
    const percent = `${(100 * share).toFixed(0)} % past the header`;
    console.log(`${reader.padEnd(16)} ${report.inputs} inputs, ${percent}, ${seconds.toFixed(1)} s, ${slow}`);
    for (const fault of faults) fail(faultText(reader, fault));
    // A few inputs say nothing about a share.
    if (report.inputs >= 20 && share < LEAST_REACHED) {
      fail(`${reader}: only ${percent}; ${100 * LEAST_REACHED} % are wanted`);
    }
    passed += Math.max(0, report.inputs - faults.length);
  }
}
const start = performance.now();
await Promise.all([work(), work()]);
console.log(`${wanted.length} readers, ${((performance.now() - start) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
