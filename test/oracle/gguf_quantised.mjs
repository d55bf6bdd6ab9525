/**
 * Oracle for src/model/gguf/quantise.ts: many kinds of rows, and the SHA-256 of their bytes by `ggml_quantize_chunk` without an
 * importance matrix, in fixtures/gguf/quantised.json.gz.
 *
 *     npm i --prefix HOME node-llama-cpp@3.22.1 && node test/oracle/gguf_quantised.mjs HOME [WEIGHTS.safetensors TENSOR]
 *
 * The optional tensor (F32) gives rows of real weights; the fixture has them from model.layers.3.mlp.down_proj.weight of SmolLM2-135M-Instruct.
 */
import { createHash } from "node:crypto";
import { openSync, readdirSync, readSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import koffi from "koffi";

const [home, weights, tensor] = process.argv.slice(2);
const bins = join(resolve(home), "node_modules/@node-llama-cpp/linux-x64/bins");
const library = koffi.load(join(bins, readdirSync(bins)[0], "libggml-base.so"));
const quantise = library.func(
  "size_t ggml_quantize_chunk(int type, const float *src, void *dst, int64_t start, int64_t rows, int64_t n_per_row, const float *imatrix)",
);
/** Number of the type, values per block, bytes per block. */
const TYPES = {
  F16: [1, 1, 2],
  BF16: [30, 1, 2],
  Q8_0: [8, 32, 34],
  Q4_0: [2, 32, 18],
  Q4_1: [3, 32, 20],
  Q5_0: [6, 32, 22],
  Q5_1: [7, 32, 24],
  Q4_K: [12, 256, 144],
  Q5_K: [13, 256, 176],
  Q6_K: [14, 256, 210],
};
const COLUMNS = 256;
const ROWS = 2;

let state = 24;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state + 0.5) / 2 ** 32;
};
const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);
const anyBits = () => {
  do bits[0] = Math.floor(random() * 2 ** 32);
  while (!(Math.abs(float[0]) < 6e4));
  return float[0];
};

/** Value i of a row. */
const KINDS = {
  normal: () => normal(),
  "normal, small": () => 0.02 * normal(),
  "normal, large": () => 1e4 * normal(),
  "heavy tails": () => normal() / (Math.abs(normal()) + 0.001),
  uniform: () => 2 * random() - 1,
  zeros: () => 0,
  "a positive constant": () => 0.7,
  "a negative constant": () => -0.3,
  "negative zeros": () => (random() < 0.5 ? -0 : 0.001 * normal()),
  denormals: () => 1e-41 * normal(),
  "scales that are denormal": () => 1e-37 * normal(),
  "scales below the least float16": () => 1e-8 * normal(),
  "one outlier": (i) => (i % COLUMNS === 77 ? 100 : 0.01 * normal()),
  "negative only": () => -Math.abs(normal()),
  "positive only": () => Math.abs(normal()),
  integers: () => Math.round(3 * normal()),
  sparse: () => (random() < 0.95 ? 0 : normal()),
  "two values": () => (random() < 0.5 ? -1.5 : 2.25),
  "an offset": () => 100 + 0.01 * normal(),
  "many magnitudes": () => normal() * 10 ** (-12 * random()),
  "groups of different magnitudes": (i) => normal() * 10 ** -(i >> 4),
  "any bits": anyBits,
  ramp: (i) => (i % COLUMNS) / 100 - 1,
};

function realRows() {
  const file = openSync(weights, "r");
  const size = Buffer.alloc(8);
  readSync(file, size, 0, 8, 0);
  const header = Buffer.alloc(Number(size.readBigUInt64LE()));
  readSync(file, header, 0, header.length, 8);
  const { dtype, data_offsets } = JSON.parse(header.toString())[tensor];
  if (dtype !== "F32") throw new Error(`${tensor} is ${dtype}`);
  const values = new Float32Array(ROWS * COLUMNS);
  readSync(file, values, 0, values.byteLength, 8 + header.length + data_offsets[0]);
  return values;
}

const found = {};
const kinds = Object.entries(KINDS).map(([kind, make]) => [
  kind,
  Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => make(i)),
]);
if (weights !== undefined) kinds.push(["weights of SmolLM2", realRows()]);
for (const [kind, values] of kinds) {
  const hashes = {};
  for (const [type, [number, block, bytes]] of Object.entries(TYPES)) {
    const stored = Buffer.alloc((values.length / block) * bytes);
    const written = quantise(number, values, stored, 0, ROWS, COLUMNS, null);
    if (Number(written) !== stored.length) throw new Error(`${type}: ${written} bytes`);
    hashes[type] = createHash("sha256").update(stored).digest("hex");
  }
  found[kind] = { values: Buffer.from(values.buffer).toString("base64"), hashes };
}
const path = join(import.meta.dirname, "fixtures/gguf/quantised.json.gz");
writeFileSync(path, gzipSync(JSON.stringify({ columns: COLUMNS, kinds: found }), { level: 9 }));
