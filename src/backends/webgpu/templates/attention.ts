/**
 * @file Flash attention and its gradients (Dao et al., 2022): the scores of a tile of queries and a tile of keys are in workgroup memory,
 * and nothing of size T × S is ever stored. A thread has a row of the tile and every `lanes`-th column. The gradients of keys and
 * values have their own kernel, whose rows are keys, so that no sums need atomics.
 */
import type { Buffer, TemplateKernel } from "../../../compiler/index.js";
import { isBlocked, isOp, type Node, optionalInput } from "../../../tensor/index.js";
import { type Emission, KernelText, type Memory, THREADS, threadsOver, wgslFloat } from "../kernel.js";
import type { Reserve } from "../loop.js";
import { blockFunctions } from "./block-formats.js";
import { rowIndex } from "./rows.js";

/** Smaller than every score; −∞ might be assumed away. */
const NEVER = "-1e30f";

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

/** Rows and columns of a tile, and the threads of a row. */
interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly lanes: number;
}

/** The largest tile whose matrices of width D fit into workgroup memory. */
function tileOf(rows: number, D: number, perRow: number, perColumn: number, squares: number, bytes: number): Tile {
  for (const columns of [32, 16, 8, 4]) {
    const floats = rows * D * perRow + (columns + 1) * D * perColumn + squares * rows * columns + 64;
    if (4 * floats <= bytes) return { rows, columns, lanes: Math.max(4, Math.min(64, Math.floor(128 / rows))) };
  }
  if (rows > 1) return tileOf(rows >> 1, D, perRow, perColumn, squares, bytes);
  throw new Error(`a head of width ${D} does not fit into workgroup memory`);
}

const shapeOf = (node: Node) => {
  const [B, T, H, D] = node.inputs[0].shape;
  const [slots, S, G] = node.inputs[1].shape;
  return { B, T, H, D, slots, S, G };
};

/** A matrix with a row per (batch, position): row `row`, head `head`, element `d`. */
interface Heads {
  readonly memory: Memory;
  readonly offset: number;
  readonly stride: number;
  readonly D: number;
}

const at = ({ offset, stride, D }: Heads, row: string, head: string, d: string) =>
  `${offset}u + (${row}) * ${stride}u + ${head} * ${D}u + ${d}`;

/** Reads elements of queries, keys or values, rounded if products are in bf16. */
function reader(text: KernelText, heads: Heads, rounds: boolean) {
  return (row: string, head: string, d: string): string => {
    const { memory } = heads;
    const x = isBlocked(memory.dtype)
      ? `block${text.number(memory)}_value(o${text.number(memory)}, ${at(heads, row, head, d)})`
      : text.load(memory, at(heads, row, head, d));
    return rounds ? `round_bf16(${x})` : x;
  };
}

function headsOf({ node, operands, operandViews }: TemplateKernel, i: number): Heads {
  const [, , heads, D] = node.inputs[i].shape;
  return { memory: operands[i] as Buffer, D, ...(operandViews[i] ?? { offset: 0, stride: heads * D }) };
}

/** Loads rows [first, first + size) into `name`, element (row, d) at row · D + d, or at d · (size + 1) + row if transposed. */
function loadTile(
  name: string,
  size: number,
  D: number,
  threads: number,
  first: string,
  limit: string,
  value: (row: string, d: string) => string,
  transposed: boolean,
): string[] {
  const place = transposed ? `(x % ${D}u) * ${size + 1}u + x / ${D}u` : "x";
  return [
    `for (var x = tid; x < ${size * D}u; x += ${threads}u) {`,
    `  let row = ${first} + x / ${D}u;`,
    "  var value = 0.0f;",
    `  if (row < ${limit}) { value = ${value("row", `x % ${D}u`)}; }`,
    `  ${name}[${place}] = value;`,
    "}",
  ];
}

/** An expression for whether the query at position `p` (i32) of row `b` sees key `s` (u32). */
function sees(kernel: TemplateKernel, text: KernelText) {
  const node = kernel.node as Node<"attention" | "attentionGradient">;
  const { S } = shapeOf(node);
  const [lengths, segments, ends] = ["lengths", "segments", "ends"].map((name) => optionalInput(node, name));
  const load = (i: number, index: string) => text.load(kernel.operands[i] as Buffer, index);
  return {
    segment: (p: string) => (segments < 0 ? "0" : load(segments, `b * ${S}u + u32(clamp(${p}, 0, ${S - 1}))`)),
    length: lengths < 0 ? `${S}` : `min(${S}, ${rowIndex(kernel, lengths, text, "b")})`,
    key: (p: string, s: string, length: string, segment: string) =>
      [
        `i32(${s}) <= ${p}`,
        `i32(${s}) < ${length}`,
        ...(segments < 0 ? [] : [`${load(segments, `b * ${S}u + min(${s}, ${S - 1}u)`)} == ${segment}`]),
        ...(ends < 0 ? [] : [`${p} < ${load(ends, `b * ${S}u + min(${s}, ${S - 1}u)`)}`]),
      ].join(" && "),
  };
}

export function emitAttention(kernel: TemplateKernel, rounds: boolean, workgroupBytes: number): Emission[] {
  const { node, operands, results } = kernel;
  if (!isOp(node, "attention")) throw new Error("unreachable");
  const { B, T, H, D, slots, S, G } = shapeOf(node);
  const wanted = T >= 16 ? 16 : 2 ** Math.ceil(Math.log2(T));
  const { rows, columns, lanes } = tileOf(wanted, D, 1, 2, 1, workgroupBytes);
  const threads = rows * lanes;
  const text = new KernelText();
  const [q, k, v] = [0, 1, 2].map((i) => reader(text, headsOf(kernel, i), rounds));
  const see = sees(kernel, text);
  const slot = optionalInput(node, "rows");
  const blocks = Math.ceil(T / rows);
  const own = range(Math.ceil(D / lanes));
  const score = `scores[row * ${columns}u + j]`;
  const lines = [
    `let t0 = (block % ${blocks}u) * ${rows}u;`,
    `let h = (block / ${blocks}u) % ${H}u;`,
    `let b = block / ${blocks * H}u;`,
    `let g = h / ${H / G}u;`,
    `let row = tid / ${lanes}u;`,
    `let lane = tid % ${lanes}u;`,
    "let t = t0 + row;",
    `let slot = ${slot < 0 ? "i32(b)" : text.load(operands[slot] as Buffer, "b")};`,
    `let start = ${rowIndex(kernel, 3, text, "b")};`,
    "let p = start + i32(t);",
    `var length = ${see.length};`,
    `if (slot < 0 || slot >= ${slots} || start < 0) { length = 0; }`,
    `let segment = ${see.segment("p")};`,
    `if (tid == 0u) { last_key = u32(clamp(start + i32(min(${T}u, t0 + ${rows}u)), 0, max(0, length))); }`,
    "let last = workgroupUniformLoad(&last_key);",
    ...loadTile("q_tile", rows, D, threads, "t0", `${T}u`, (r, d) => q(`b * ${T}u + ${r}`, "h", d), false),
    `var top = ${NEVER};`,
    "var sum = 0.0f;",
    ...own.map((i) => `var out${i} = 0.0f;`),
    `for (var s0 = 0u; s0 < last; s0 += ${columns}u) {`,
    ...indent([
      "workgroupBarrier();",
      ...loadTile("k_tile", columns, D, threads, "s0", "last", (r, d) => k(`u32(slot) * ${S}u + ${r}`, "g", d), true),
      ...loadTile("v_tile", columns, D, threads, "s0", "last", (r, d) => v(`u32(slot) * ${S}u + ${r}`, "g", d), false),
      "workgroupBarrier();",
      `for (var j = lane; j < ${columns}u; j += ${lanes}u) {`,
      `  var score = ${NEVER};`,
      "  let s = s0 + j;",
      `  if (s < last && ${see.key("p", "s", "length", "segment")}) {`,
      "    score = 0.0f;",
      `    for (var d = 0u; d < ${D}u; d++) { score = fma(q_tile[row * ${D}u + d], k_tile[d * ${columns + 1}u + j], score); }`,
      `    score *= ${wgslFloat(node.attributes.scale)};`,
      "  }",
      `  ${score} = score;`,
      "}",
      "workgroupBarrier();",
      "let before = top;",
      `for (var j = 0u; j < ${columns}u; j++) { top = max(top, ${score}); }`,
      "workgroupBarrier();",
      `for (var j = lane; j < ${columns}u; j += ${lanes}u) {`,
      `  let score = ${score};`,
      `  ${score} = select(0.0f, exp(score - top), score > ${NEVER});`,
      "}",
      "workgroupBarrier();",
      "let shrink = exp(before - top);",
      "sum *= shrink;",
      ...own.map((i) => `out${i} *= shrink;`),
      `for (var j = 0u; j < ${columns}u; j++) {`,
      `  let weight = ${score};`,
      "  sum += weight;",
      ...own.map((i) => {
        const add = `out${i} = fma(${rounds ? "round_bf16(weight)" : "weight"}, v_tile[j * ${D}u + lane + ${i * lanes}u], out${i});`;
        return (i + 1) * lanes <= D ? `  ${add}` : `  if (lane + ${i * lanes}u < ${D}u) { ${add} }`;
      }),
      "}",
    ]),
    "}",
    `if (t >= ${T}u) { return; }`,
    "let share = select(0.0f, 1.0f / sum, sum > 0.0f);",
    `if (lane == 0u) { ${text.store(results[1] as Buffer, `(b * ${H}u + h) * ${T}u + t`, "select(-infinity(), top + log(sum), sum > 0.0f)")} }`,
    ...own.map((i) => {
      const d = `lane + ${i * lanes}u`;
      return `if (${d} < ${D}u) { ${text.store(results[0] as Buffer, `((b * ${T}u + t) * ${H}u + h) * ${D}u + ${d}`, `out${i} * share`)} }`;
    }),
  ];
  const caches = new Set(
    [operands[1], operands[2]].filter((x): x is Buffer => typeof x !== "number" && isBlocked(x.dtype)),
  );
  return [
    text.emission("attention", B * H * blocks, lines, {
      threads,
      declarations: `
var<workgroup> last_key: u32;
var<workgroup> q_tile: array<f32, ${rows * D}>;
var<workgroup> k_tile: array<f32, ${(columns + 1) * D}>;
var<workgroup> v_tile: array<f32, ${columns * D}>;
var<workgroup> scores: array<f32, ${rows * columns}>;
${[...caches].map((cache) => blockFunctions("q8_0", text.number(cache))).join("")}`,
    }),
  ];
}

/** P = softmax(scores); dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P ∘ (dP − rowsum(dO ∘ O)), dQ = dS·K, dK = dSᵀ·Q. */
export function emitAttentionGradient(
  kernel: TemplateKernel,
  rounds: boolean,
  workgroupBytes: number,
  reserve: Reserve,
): Emission[] {
  const { node, operands } = kernel;
  const { B, T, H } = shapeOf(node);
  const delta = reserve(B * H * T);
  const text = new KernelText();
  const D = node.inputs[0].shape[3];
  const [o, slope] = [operands[3] as Buffer, operands[5] as Buffer];
  const lines = [
    `let i = block * ${THREADS}u + tid;`,
    `if (i >= ${B * T * H}u) { return; }`,
    "var total = 0.0f;",
    `for (var d = 0u; d < ${D}u; d++) { total = fma(${text.load(o, `i * ${D}u + d`)}, ${text.load(slope, `i * ${D}u + d`)}, total); }`,
    `let row = i / ${H}u;`,
    text.store(delta, `((row / ${T}u) * ${H}u + i % ${H}u) * ${T}u + row % ${T}u`, "total"),
  ];
  return [
    text.emission("attention_delta", threadsOver(B * T * H), lines),
    queryGradient(kernel, rounds, workgroupBytes, delta),
    keyGradient(kernel, rounds, workgroupBytes, delta),
  ];
}

function queryGradient(kernel: TemplateKernel, rounds: boolean, workgroupBytes: number, delta: Memory): Emission {
  const { node, operands, results, resultViews } = kernel;
  if (!isOp(node, "attentionGradient")) throw new Error("unreachable");
  const { B, T, H, D, G } = shapeOf(node);
  const { rows, columns, lanes } = tileOf(16, D, 2, 2, 1, workgroupBytes);
  const threads = rows * lanes;
  const text = new KernelText();
  const [q, k, v] = [0, 1, 2].map((i) => reader(text, headsOf(kernel, i), rounds));
  const slope = reader(text, { memory: operands[5] as Buffer, offset: 0, stride: H * D, D }, rounds);
  const see = sees(kernel, text);
  const blocks = Math.ceil(T / rows);
  const own = range(Math.ceil(D / lanes));
  const view = resultViews[0] ?? { offset: 0, stride: H * D };
  const lines = [
    `let t0 = (block % ${blocks}u) * ${rows}u;`,
    `let h = (block / ${blocks}u) % ${H}u;`,
    `let b = block / ${blocks * H}u;`,
    `let g = h / ${H / G}u;`,
    `let row = tid / ${lanes}u;`,
    `let lane = tid % ${lanes}u;`,
    "let t = t0 + row;",
    "let p = i32(t);",
    `let length = ${see.length};`,
    `let segment = ${see.segment("p")};`,
    `let of_row = (b * ${H}u + h) * ${T}u + min(t, ${T - 1}u);`,
    `let log_sum = ${text.load(operands[4] as Buffer, "of_row")};`,
    `let mean = ${text.load(delta, "of_row")};`,
    ...loadTile("q_tile", rows, D, threads, "t0", `${T}u`, (r, d) => q(`b * ${T}u + ${r}`, "h", d), false),
    ...loadTile("d_tile", rows, D, threads, "t0", `${T}u`, (r, d) => slope(`b * ${T}u + ${r}`, "h", d), false),
    ...own.map((i) => `var out${i} = 0.0f;`),
    `let last = min(${T}u, t0 + ${rows}u);`,
    `for (var s0 = 0u; s0 < last; s0 += ${columns}u) {`,
    ...indent([
      "workgroupBarrier();",
      ...loadTile("k_tile", columns, D, threads, "s0", "last", (r, d) => k(`b * ${T}u + ${r}`, "g", d), true),
      ...loadTile("v_tile", columns, D, threads, "s0", "last", (r, d) => v(`b * ${T}u + ${r}`, "g", d), true),
      "workgroupBarrier();",
      `for (var j = lane; j < ${columns}u; j += ${lanes}u) {`,
      "  var slope = 0.0f;",
      "  let s = s0 + j;",
      `  if (t < ${T}u && s < last && ${see.key("p", "s", "length", "segment")}) {`,
      "    var score = 0.0f;",
      "    var dp = 0.0f;",
      `    for (var d = 0u; d < ${D}u; d++) {`,
      `      score = fma(q_tile[row * ${D}u + d], k_tile[d * ${columns + 1}u + j], score);`,
      `      dp = fma(d_tile[row * ${D}u + d], v_tile[d * ${columns + 1}u + j], dp);`,
      "    }",
      `    slope = exp(score * ${wgslFloat(node.attributes.scale)} - log_sum) * (dp - mean) * ${wgslFloat(node.attributes.scale)};`,
      "  }",
      `  slopes[row * ${columns}u + j] = ${rounds ? "round_bf16(slope)" : "slope"};`,
      "}",
      "workgroupBarrier();",
      `for (var j = 0u; j < ${columns}u; j++) {`,
      `  let slope = slopes[row * ${columns}u + j];`,
      ...own.map((i) => {
        const d = `lane + ${i * lanes}u`;
        return `  if (${d} < ${D}u) { out${i} = fma(slope, k_tile[(${d}) * ${columns + 1}u + j], out${i}); }`;
      }),
      "}",
    ]),
    "}",
    `if (t >= ${T}u) { return; }`,
    ...own.map((i) => {
      const d = `lane + ${i * lanes}u`;
      const place = `${view.offset}u + (b * ${T}u + t) * ${view.stride}u + h * ${D}u + ${d}`;
      return `if (${d} < ${D}u) { ${text.store(results[0] as Buffer, place, `out${i}`)} }`;
    }),
  ];
  return text.emission("attention_dq", B * H * blocks, lines, {
    threads,
    declarations: `
var<workgroup> q_tile: array<f32, ${rows * D}>;
var<workgroup> d_tile: array<f32, ${rows * D}>;
var<workgroup> k_tile: array<f32, ${(columns + 1) * D}>;
var<workgroup> v_tile: array<f32, ${(columns + 1) * D}>;
var<workgroup> slopes: array<f32, ${rows * columns}>;`,
  });
}

/** Gradients of keys and values: a row is a key; the tiles are queries of all heads that share it. */
function keyGradient(kernel: TemplateKernel, rounds: boolean, workgroupBytes: number, delta: Memory): Emission {
  const { node, operands, results, resultViews } = kernel;
  if (!isOp(node, "attentionGradient")) throw new Error("unreachable");
  const { B, T, H, D, G } = shapeOf(node);
  const { rows, columns, lanes } = tileOf(16, D, 2, 2, 2, workgroupBytes);
  const threads = rows * lanes;
  const text = new KernelText();
  const [q, k, v] = [0, 1, 2].map((i) => reader(text, headsOf(kernel, i), rounds));
  const slope = reader(text, { memory: operands[5] as Buffer, offset: 0, stride: H * D, D }, rounds);
  const see = sees(kernel, text);
  const blocks = Math.ceil(T / rows);
  const own = range(Math.ceil(D / lanes));
  const store = (result: number, name: string) =>
    own.map((i) => {
      const view = resultViews[result] ?? { offset: 0, stride: G * D };
      const d = `lane + ${i * lanes}u`;
      const place = `${view.offset}u + (b * ${T}u + s) * ${view.stride}u + g * ${D}u + ${d}`;
      return `if (${d} < ${D}u) { ${text.store(results[result] as Buffer, place, `${name}${i}`)} }`;
    });
  const round = (x: string) => (rounds ? `round_bf16(${x})` : x);
  const scale = wgslFloat(node.attributes.scale);
  const lines = [
    `let s0 = (block % ${blocks}u) * ${rows}u;`,
    `let g = (block / ${blocks}u) % ${G}u;`,
    `let b = block / ${blocks * G}u;`,
    `let row = tid / ${lanes}u;`,
    `let lane = tid % ${lanes}u;`,
    "let s = s0 + row;",
    `let length = ${see.length};`,
    ...loadTile("k_tile", rows, D, threads, "s0", `${T}u`, (r, d) => k(`b * ${T}u + ${r}`, "g", d), false),
    ...loadTile("v_tile", rows, D, threads, "s0", `${T}u`, (r, d) => v(`b * ${T}u + ${r}`, "g", d), false),
    ...own.flatMap((i) => [`var dk${i} = 0.0f;`, `var dv${i} = 0.0f;`]),
    `for (var h = g * ${H / G}u; h < (g + 1u) * ${H / G}u; h++) {`,
    // Earlier queries see none of these keys.
    `  for (var t0 = (s0 / ${columns}u) * ${columns}u; t0 < ${T}u; t0 += ${columns}u) {`,
    ...indent(
      indent([
        "workgroupBarrier();",
        ...loadTile("q_tile", columns, D, threads, "t0", `${T}u`, (r, d) => q(`b * ${T}u + ${r}`, "h", d), true),
        ...loadTile("d_tile", columns, D, threads, "t0", `${T}u`, (r, d) => slope(`b * ${T}u + ${r}`, "h", d), true),
        "workgroupBarrier();",
        `for (var j = lane; j < ${columns}u; j += ${lanes}u) {`,
        "  let t = t0 + j;",
        "  let p = i32(t);",
        "  var weight = 0.0f;",
        "  var slope = 0.0f;",
        `  if (t < ${T}u && s < ${T}u && ${see.key("p", "s", "length", see.segment("p"))}) {`,
        "    var score = 0.0f;",
        "    var dp = 0.0f;",
        `    for (var d = 0u; d < ${D}u; d++) {`,
        `      score = fma(k_tile[row * ${D}u + d], q_tile[d * ${columns + 1}u + j], score);`,
        `      dp = fma(v_tile[row * ${D}u + d], d_tile[d * ${columns + 1}u + j], dp);`,
        "    }",
        `    let of_row = (b * ${H}u + h) * ${T}u + t;`,
        `    weight = exp(score * ${scale} - ${text.load(operands[4] as Buffer, "of_row")});`,
        `    slope = weight * (dp - ${text.load(delta, "of_row")}) * ${scale};`,
        "  }",
        `  weights[row * ${columns}u + j] = ${round("weight")};`,
        `  slopes[row * ${columns}u + j] = ${round("slope")};`,
        "}",
        "workgroupBarrier();",
        `for (var j = 0u; j < ${columns}u; j++) {`,
        `  let weight = weights[row * ${columns}u + j];`,
        `  let slope = slopes[row * ${columns}u + j];`,
        ...own.flatMap((i) => {
          const d = `lane + ${i * lanes}u`;
          return [
            `  if (${d} < ${D}u) {`,
            `    dv${i} = fma(weight, d_tile[(${d}) * ${columns + 1}u + j], dv${i});`,
            `    dk${i} = fma(slope, q_tile[(${d}) * ${columns + 1}u + j], dk${i});`,
            "  }",
          ];
        }),
        "}",
      ]),
    ),
    "  }",
    "}",
    `if (s >= ${T}u) { return; }`,
    ...store(1, "dk"),
    ...store(2, "dv"),
  ];
  return text.emission("attention_dk_dv", B * G * blocks, lines, {
    threads,
    declarations: `
var<workgroup> k_tile: array<f32, ${rows * D}>;
var<workgroup> v_tile: array<f32, ${rows * D}>;
var<workgroup> q_tile: array<f32, ${(columns + 1) * D}>;
var<workgroup> d_tile: array<f32, ${(columns + 1) * D}>;
var<workgroup> weights: array<f32, ${rows * columns}>;
var<workgroup> slopes: array<f32, ${rows * columns}>;`,
  });
}
