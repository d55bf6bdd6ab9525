/** Damaged and hostile model folders: each opens or is refused with a message, without much time or memory. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import {
  defineModel,
  initialValues,
  openModel,
  parametersOf,
  type RandomStream,
  randomStream,
  writeModel,
} from "../../src/model/index.js";

const root = await mkdtemp(join(tmpdir(), "quern-mutated-"));
afterAll(() => rm(root, { recursive: true, force: true }));

const rounds = Number(process.env.QUERN_FUZZ ?? 40);
const seed = Number(process.env.QUERN_SEED ?? 1);

/** Unexpected values. */
const odd = [
  ...[null, -1, 0, 1.5, 1e12, 3e7, -1e300, 2 ** 53, 1e-300, "x", "", "yarn", "llama3", true],
  ...[[], {}, [1], { a: 1 }, [[[]]], { factor: 0 }],
];
const types = ["F16", "F64", "F8_E4M3", "F4", "F8_E8M0", "C64", "I64", "NEW1", "x", null, 7];
const shapes = [[], [0], [1e9], [-1], [2 ** 52, 2 ** 52], "x", [12, 31]];
const offsets = [[0, 0], [0, 1e12], [-1, 4], [5], ["a", "b"], [4, 0]];

type Draw = (most: number) => number;
const among = <T>(draw: Draw, values: readonly T[]): T => values[draw(values.length)];

/** Makes one random change to a file of the folder that passes most of the early checks. */
async function mutate(folder: string, draw: Draw): Promise<string> {
  const name = among(draw, ["config.json", "generation_config.json", "model.safetensors", "model.safetensors"]);
  const path = join(folder, name);
  const bytes = await readFile(path);
  const kind = among(draw, ["field", "field", "field", "bytes", "cut"]);
  if (kind === "cut") await writeFile(path, bytes.subarray(0, draw(bytes.length)));
  if (kind === "bytes") {
    for (let i = 0; i < 3; i++) bytes[draw(bytes.length)] = draw(256);
    await writeFile(path, bytes);
  }
  if (kind !== "field") return `${kind} of ${name}`;
  const isJson = name.endsWith(".json");
  const end = isJson ? bytes.length : 8 + Number(bytes.readBigUInt64LE(0));
  const json = JSON.parse(bytes.subarray(isJson ? 0 : 8, end).toString());
  const more = isJson ? ["rope_scaling", "rope_parameters", "quantization_config", "layer_types", "eos_token_id"] : [];
  const key = among(draw, [...Object.keys(json), ...more]);
  if (isJson) json[key] = among(draw, odd);
  else if (draw(4) === 0) delete json[key];
  else
    Object.assign(
      json[key],
      among<object>(draw, [
        { dtype: among(draw, types) },
        { shape: among(draw, shapes) },
        { data_offsets: among(draw, offsets) },
      ]),
    );
  const text = Buffer.from(JSON.stringify(json));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path, isJson ? text : Buffer.concat([prefix, text, bytes.subarray(end)]));
  return `${key} of ${name}: ${JSON.stringify(json[key])}`;
}

async function readAll(folder: string): Promise<void> {
  const model = await openModel(folder);
  try {
    for (const { name } of parametersOf(model.config)) await model.readParameter(name);
  } finally {
    await model.close();
  }
}

const drawFrom = (stream: RandomStream): Draw => {
  let next = 0;
  return (most) => Math.floor(stream.uniform(next++) * most);
};

it(`opens ${rounds} mutated folders or refuses them (QUERN_SEED=${seed})`, {
  timeout: 60_000 + rounds * 100,
}, async () => {
  const config = defineModel({ layers: 2, width: 12, heads: 2, vocabSize: 31, sequence: 16 });
  const values = new Map(parametersOf(config).map((parameter) => [parameter.name, initialValues(parameter, 3)]));
  const whole = join(root, "whole");
  await writeModel(whole, config, (name) => values.get(name) as Float32Array, { endOfText: 7 });
  const draw = drawFrom(randomStream(seed, "mutated models"));
  const faults: string[] = [];
  const before = process.memoryUsage().rss;
  let [refused, memory] = [0, before];
  for (let round = 0; round < rounds; round++) {
    const folder = join(root, String(round));
    await cp(whole, folder, { recursive: true });
    const what = await mutate(folder, draw);
    await readAll(folder).catch((error: Error) => {
      refused += 1;
      if (error.name !== "QuernError") faults.push(`${what}: ${error.stack}`);
    });
    await rm(folder, { recursive: true });
    memory = Math.max(memory, process.memoryUsage().rss);
  }
  expect(faults).toEqual([]);
  expect(refused).toBeGreaterThan(rounds / 4);
  expect(memory - before).toBeLessThan(2 ** 30);
});
