/**
 * @file The head and its loss, in chunks of rows, so that the logits (N,V) never exist at once. The logits of a chunk become their own
 * gradient in place; two products then make the gradients of x and w.
 */
import type { Buffer, TemplateKernel } from "../../../compiler/index.js";
import { isOp } from "../../../tensor/index.js";
import { type Emission, KernelText, type Scratch, type Slice, sliceOf } from "../kernel.js";
import { workgroupReduction } from "../library.js";
import type { Reserve } from "../loop.js";
import { emitProduct } from "./matmul.js";
import type { Matrix } from "./product.js";

/** Floats of a chunk's logits at most, unless one row has more. */
const CHUNK = 1 << 24;
/** Rows of a chunk are a multiple of the products' tiles. */
const ROWS = 64;
const THREADS = 256;

interface Chunk {
  readonly first: number;
  readonly rows: number;
}

function chunksOf(N: number, V: number): Chunk[] {
  const size = Math.min(N, Math.max(1, Math.floor(CHUNK / V / ROWS)) * ROWS);
  return Array.from({ length: Math.ceil(N / size) }, (_, i) => ({
    first: i * size,
    rows: Math.min(size, N - i * size),
  }));
}

export function emitCrossEntropy(
  kernel: TemplateKernel,
  rounds: boolean,
  reserve: Reserve,
  lanes: number | null,
): Emission[] {
  const { node, operands, results, accumulate } = kernel;
  const isGradient = isOp(node, "linearCrossEntropyGradient");
  const [N, C] = node.inputs[0].shape;
  const [V] = node.inputs[1].shape;
  const [x, w] = operands as readonly Buffer[];
  const chunks = chunksOf(N, V);
  const logits = reserve(chunks[0].rows * V);
  const z: Matrix = { memory: logits, rowStride: V, columnStride: 1 };
  return chunks.flatMap(({ first, rows }, i) => {
    const rowsOfX: Matrix = { memory: sliceOf(x, first * C), rowStride: C, columnStride: 1 };
    // Rounding p − 1 would lose the digits of p, so slopes are not rounded.
    const byRounded = rounds ? ("b" as const) : false;
    const forward = emitProduct(
      {
        ...{ M: rows, N: V, K: C, a: rowsOfX, b: { memory: w, rowStride: 1, columnStride: C }, to: logits },
        ...{ rounds, accumulate: false },
      },
      lanes,
    );
    const losses = emitLosses(kernel, { first, rows }, V, logits, isGradient);
    if (!isGradient) return [forward, losses];
    const dw = results[2];
    return [
      forward,
      losses,
      emitProduct(
        {
          ...{ M: rows, N: C, K: V, a: z, b: { memory: w, rowStride: C, columnStride: 1 } },
          ...{ to: sliceOf(results[1] as Buffer, first * C), rounds: byRounded, accumulate: false },
        },
        lanes,
      ),
      ...(dw === null
        ? []
        : [
            emitProduct(
              {
                ...{ M: V, N: C, K: rows, a: { memory: logits, rowStride: 1, columnStride: V }, b: rowsOfX, to: dw },
                ...{ rounds: byRounded, accumulate: i > 0 || accumulate[2] },
              },
              lanes,
            ),
          ]),
    ];
  });
}

/** A workgroup per row: its loss and statistics; for gradients, the logits are replaced by d − dH·(log p + H) times p, minus d at the target. */
function emitLosses(
  kernel: TemplateKernel,
  { first, rows }: Chunk,
  V: number,
  logits: Scratch,
  isGradient: boolean,
): Emission {
  const { node, operands, results } = kernel;
  const text = new KernelText();
  const statistics = node.outputs.length > (isGradient ? 3 : 1);
  const part = (buffer: unknown) => sliceOf(buffer as Buffer, first);
  const loss = part(results[0]);
  const [entropy, greedy, squares] = statistics
    ? [0, 1, 2].map((i) => part(results[(isGradient ? 3 : 1) + i]))
    : [loss, loss, loss];
  const targets = part(operands[2]);
  const slopes = isGradient ? part(operands[3]) : null;
  const dEntropy = isGradient && node.inputs.length > 4 ? part(operands[4]) : null;
  const z = (v: string) => text.load(logits, `block * ${V}u + ${v}`);
  const each = (lines: readonly string[]) => [
    `for (var v = tid; v < ${V}u; v += ${THREADS}u) {`,
    ...lines.map((line) => `  ${line}`),
    "}",
  ];
  const store = (to: Slice, value: string) => text.store(to, "block", `select(0.0f, ${value}, is_target)`);
  const lines = [
    `let target_id = ${text.load(targets, "block")};`,
    `let is_target = target_id >= 0 && target_id < ${V};`,
    `let of_target = ${z("select(0u, u32(target_id), is_target)")};`,
    "var most = -1e38f;",
    ...each([`most = max(most, ${z("v")});`]),
    "let top = top_of(most, tid);",
    "var part = 0.0f;",
    "var part_squares = 0.0f;",
    "var part_entropy = 0.0f;",
    ...each([
      `let below = ${z("v")} - top;`,
      "let e = exp(below);",
      "part += e;",
      ...(statistics || dEntropy
        ? ["part_squares = fma(e, e, part_squares);", "part_entropy = fma(e, below, part_entropy);"]
        : []),
    ]),
    "let sum = sum_up(part, tid);",
    "let log_sum = log(sum);",
    ...(statistics || dEntropy
      ? ["let sum_squares = sum_up(part_squares, tid);", "let row_entropy = log_sum - sum_up(part_entropy, tid) / sum;"]
      : []),
    "if (tid == 0u) {",
    `  ${store(loss, "top + log_sum - of_target")}`,
    ...(statistics
      ? [
          `  ${store(entropy, "row_entropy")}`,
          `  ${store(greedy, "select(0.0f, 1.0f, of_target >= top)")}`,
          `  ${store(squares, "log(sum_squares) - 2.0f * log_sum")}`,
        ]
      : []),
    "}",
    ...(slopes
      ? [
          `let d = select(0.0f, ${text.load(slopes, "block")}, is_target);`,
          ...(dEntropy ? [`let d_entropy = select(0.0f, ${text.load(dEntropy, "block")}, is_target);`] : []),
          ...each([
            `let below = ${z("v")} - top;`,
            "let p = exp(below) / sum;",
            `let slope = ${dEntropy ? "p * (d - d_entropy * (below - log_sum + row_entropy))" : "p * d"};`,
            text.store(logits, `block * ${V}u + v`, "slope - select(0.0f, d, i32(v) == target_id)"),
          ]),
        ]
      : []),
  ];
  return text.emission("losses", rows, lines, {
    threads: THREADS,
    declarations: workgroupReduction("sum_up", "sum", THREADS) + workgroupReduction("top_of", "max", THREADS),
  });
}
