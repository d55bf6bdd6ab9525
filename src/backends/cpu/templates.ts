/** @file Emits the call of each large operation's C template: its arguments and scratch. */
import type { Buffer, TemplateKernel } from "../../compiler/index.js";
import {
  DTYPE_BYTES,
  type DType,
  isBlocked,
  isOp,
  type Node,
  type Op,
  optionalInput,
  sizeOf,
  type Tensor,
} from "../../tensor/index.js";

/** C expressions for the arguments of one call. */
export interface Arguments {
  /** Pointer to an operand's or result's floats. */
  readonly operand: (i: number) => string;
  readonly result: (i: number) => string;
  /** Pointer to an operand's integers, or the value of an i32 scalar operand. */
  readonly ids: (i: number) => string;
  readonly index: (i: number) => string;
  /** A `qn_row_index` of an i32 operand: one number per row, or one for all rows. */
  readonly rowIndex: (i: number) => string;
  readonly scratch: string;
  /** 1 if products round their operands to bf16, else 0. */
  readonly bf16: number;
  /** Name of the epilogue function, or 0. */
  readonly epilogue: string;
  /** For results in blocks: the result's place among the epilogue's pointers, and their number. */
  readonly block: string;
  /** 1 if the kernel before left operand 0, rounded for stored weights of the same type, in the scratch; else 0. */
  readonly isRounded: number;
}

export interface TemplateCall {
  readonly statement: string;
  /** C expression for the call's scratch in floats. */
  readonly scratch: string;
}

type Emit = (kernel: TemplateKernel, use: Arguments) => TemplateCall;

/** Operations implemented by a template; all others become loops. */
export type TemplateOp = Extract<
  Op,
  | "matmul"
  | "embedding"
  | "embeddingGradient"
  | "rope"
  | "attention"
  | "attentionGradient"
  | "linearCrossEntropy"
  | "linearCrossEntropyGradient"
  | "cacheWrite"
  | "cacheCopy"
  | "concatenate"
  | "positions"
  | "gather"
  | "scatterAdd"
  | "random"
>;

const shapeOf = (node: Node, i: number) => node.inputs[i].shape;
const flag = (condition: boolean) => (condition ? 1 : 0);

/** Name of a block format in templates/storage.h. */
export const blockType = (dtype: DType) => `QN_${dtype.toUpperCase()}`;

function attentionShape(node: Node): { B: number; T: number; S: number; H: number; G: number; D: number } {
  const [B, T, H, D] = shapeOf(node, 0);
  const [, S, G] = shapeOf(node, 1);
  return { B, T, S, H, G, D };
}

/** The number by which templates know the type of keys and values (`qn_cached` in loop.h). */
const cachedType = ({ dtype }: Tensor) => ["f32", "bf16", "f16", "q8_0"].indexOf(dtype);

/** Pointer to an optional operand's integers, or null. */
const idsOr0 = (i: number, use: Arguments) => (i < 0 ? "0" : use.ids(i));
/** Number of keys per row: the operand, or S for all rows. */
const lengthsOf = (i: number, S: number, use: Arguments) =>
  i < 0 ? `(qn_row_index){(const int[]){${S}}, 0}` : use.rowIndex(i);

/** Whether the compiler stores an operand or result in bf16 (compiler/narrow.ts). */
const isNarrow = (buffer: Buffer | number | null) => typeof buffer === "object" && buffer?.dtype === "bf16";

/** `bf16` of attention's templates: whether it multiplies in bf16, and bits for what is stored in bf16 (QN_Q_STORED, …). */
function storedOf({ operands, results, node }: TemplateKernel, bf16: number): number {
  const tensors = isOp(node, "attention")
    ? [...operands.slice(0, 3), results[0]]
    : [...operands.slice(0, 4), operands[5], ...results];
  // Keys and values of a cache have their own parameter.
  const isOwn = node.inputs[1].dtype === "f32";
  return tensors.reduce<number>((bits, buffer, i) => bits | (isOwn && isNarrow(buffer) ? 2 << i : 0), bf16);
}

/** q, k and v, each followed by its row stride in floats. */
function threeOperands({ node, operandViews }: TemplateKernel, use: Arguments): string {
  const stride = (i: number) => operandViews[i]?.stride ?? shapeOf(node, i)[2] * shapeOf(node, i)[3];
  return [0, 1, 2].map((i) => `${use.operand(i)}, ${stride(i)}`).join(", ");
}

export const templates: { readonly [O in TemplateOp]: Emit } = {
  matmul: ({ node, accumulate, operands, inBlocks }, use) => {
    if (!isOp(node, "matmul")) throw new Error("unreachable");
    const { transposeA, transposeB, batchInvariant } = node.attributes;
    const [M, N] = node.outputs[0].shape;
    const K = shapeOf(node, 0)[transposeA ? 0 : 1];
    const { dtype } = node.inputs[1];
    const product = `${M}, ${N}, ${K}, ${use.operand(0)}, ${use.operand(1)}, ${use.result(0)}, ${flag(accumulate[0])}`;
    if (isBlocked(dtype)) {
      const type = blockType(dtype);
      return {
        statement: `qn_linear_blocks(${type}, ${product}, ${use.isRounded}, ${use.scratch}, ${use.epilogue}, (void *)p);`,
        scratch: `qn_blocks_scratch(${type}, ${M}, ${K})`,
      };
    }
    if (dtype !== "f32") {
      const half = `qn_linear_half(${flag(dtype === "bf16")}, ${product}, ${use.epilogue}, (void *)p);`;
      return { statement: half, scratch: "0" };
    }
    // In bf16, `qn_gemm` sums along K in the same order for any number of rows.
    if (use.bf16 === 0 && (batchInvariant || (M === 1 && !transposeA && transposeB))) {
      return { statement: `qn_linear(${product}, ${use.epilogue}, (void *)p);`, scratch: "0" };
    }
    const a = transposeA ? `1, ${M}` : `${K}, 1`;
    const b = transposeB ? `1, ${K}` : `${N}, 1`;
    const [storedA, storedB] = operands.map(isNarrow);
    if (storedA || storedB || inBlocks) {
      return {
        statement:
          `qn_gemm_stored(${flag(storedA) + 2 * flag(storedB)}, ${M}, ${N}, ${K}, ${use.operand(0)}, ${a}, ${use.operand(1)}, ${b}, ` +
          `${use.result(0)}, ${N}, ${flag(accumulate[0])}, ${use.scratch}, ${use.epilogue}, (void *)p, ${use.block});`,
        scratch: `qn_gemm_scratch(${M}, ${N}, ${K})`,
      };
    }
    return {
      statement:
        `qn_gemm(${use.bf16}, ${M}, ${N}, ${K}, ${use.operand(0)}, ${a}, ${use.operand(1)}, ${b}, ` +
        `${use.result(0)}, ${N}, ${flag(accumulate[0])}, ${use.scratch}, ${use.epilogue}, (void *)p);`,
      scratch: `qn_gemm_scratch(${M}, ${N}, ${K})`,
    };
  },
  embedding: ({ node }, use) => {
    const [V, C] = shapeOf(node, 0);
    const N = sizeOf(shapeOf(node, 1));
    const { dtype } = node.inputs[0];
    const look = `${N}, ${C}, ${V}, ${use.operand(0)}, ${use.ids(1)}, ${use.result(0)}`;
    const statement = isBlocked(dtype)
      ? `qn_embedding_blocks(${blockType(dtype)}, ${look});`
      : dtype === "f32"
        ? `qn_embedding(${look});`
        : `qn_embedding_half(${flag(dtype === "bf16")}, ${look});`;
    return { statement, scratch: "0" };
  },
  embeddingGradient: ({ node, accumulate }, use) => {
    const [V, C] = node.outputs[0].shape;
    const N = sizeOf(shapeOf(node, 0));
    return {
      statement:
        `qn_embedding_gradient(${N}, ${C}, ${V}, ${use.ids(0)}, ${use.operand(1)}, ${use.result(0)}, ` +
        `${flag(accumulate[0])}, ${use.scratch});`,
      scratch: "0",
    };
  },
  rope: ({ node, operandViews, results, resultViews }, use) => {
    const [B, T, H, D] = shapeOf(node, 0);
    const [P] = shapeOf(node, 1);
    const inverse = isOp(node, "rope") && node.attributes.inverse;
    return {
      statement:
        `qn_rope(${B * T}, ${H}, ${D}, ${use.operand(0)}, ${operandViews[0]?.stride ?? H * D}, ` +
        `${use.result(0)}, ${resultViews[0]?.stride ?? H * D}, ` +
        `${use.operand(1)}, ${use.operand(2)}, ${P}, ${T}, ${use.rowIndex(3)}, ${flag(inverse)}, ${flag(isNarrow(results[0]))});`,
      scratch: "0",
    };
  },
  attention: (kernel, use) => {
    const { node } = kernel;
    if (!isOp(node, "attention")) throw new Error("unreachable");
    const { B, T, S, H, G, D } = attentionShape(node);
    const [lengths, rows, segments, ends] = ["lengths", "rows", "segments", "ends"].map((name) =>
      optionalInput(node, name),
    );
    const cached = cachedType(node.inputs[1]);
    return {
      statement:
        `qn_attention(${storedOf(kernel, use.bf16)}, ${cached}, ${B}, ${T}, ${S}, ${H}, ${G}, ${D}, ${threeOperands(kernel, use)}, ` +
        `${use.result(0)}, ${use.result(1)}, ${node.attributes.scale}f, ${use.rowIndex(3)}, ` +
        `${lengthsOf(lengths, S, use)}, ${shapeOf(node, 1)[0]}, ${idsOr0(rows, use)}, ${idsOr0(segments, use)}, ` +
        `${idsOr0(ends, use)}, ${use.scratch});`,
      scratch: `qn_attention_scratch(${cached}, ${B}, ${T}, ${S}, ${G}, ${D})`,
    };
  },
  attentionGradient: (kernel, use) => {
    const { node, resultViews } = kernel;
    if (!isOp(node, "attentionGradient")) throw new Error("unreachable");
    const { B, T, H, G, D } = attentionShape(node);
    const [lengths, segments, ends] = ["lengths", "segments", "ends"].map((name) => optionalInput(node, name));
    const outputs = [H, G, G].map((heads, i) => `${use.result(i)}, ${resultViews[i]?.stride ?? heads * D}`);
    return {
      statement:
        `qn_attention_backward(${storedOf(kernel, use.bf16)}, ${B}, ${T}, ${H}, ${G}, ${D}, ${threeOperands(kernel, use)}, ${use.operand(3)}, ` +
        `${use.operand(4)}, ${use.operand(5)}, ${outputs.join(", ")}, ${node.attributes.scale}f, ` +
        `${lengthsOf(lengths, T, use)}, ${idsOr0(segments, use)}, ${idsOr0(ends, use)}, ${use.scratch});`,
      scratch: `qn_attention_backward_scratch(${T}, ${D})`,
    };
  },
  linearCrossEntropy: ({ node }, use) => {
    const [N, C] = shapeOf(node, 0);
    const [V] = shapeOf(node, 1);
    const statistics = node.outputs.length > 1;
    const results = [1, 2, 3].map((i) => (statistics ? use.result(i) : "0")).join(", ");
    return {
      statement:
        `qn_linear_cross_entropy(${use.bf16}, ${N}, ${C}, ${V}, ${use.operand(0)}, ${use.operand(1)}, ${use.ids(2)}, ` +
        `${use.result(0)}, ${results}, ${use.scratch});`,
      scratch: `qn_linear_cross_entropy_scratch(${use.bf16}, ${flag(statistics)}, 0, ${N}, ${C}, ${V})`,
    };
  },
  linearCrossEntropyGradient: ({ node, accumulate, results: outputs }, use) => {
    const [N, C] = shapeOf(node, 0);
    const [V] = shapeOf(node, 1);
    const statistics = node.outputs.length > 3;
    const results = [3, 4, 5].map((i) => (statistics ? use.result(i) : "0")).join(", ");
    const dEntropy = node.inputs.length > 4 ? use.operand(4) : "0";
    return {
      statement:
        `qn_linear_cross_entropy_gradient(${use.bf16}, ${N}, ${C}, ${V}, ${use.operand(0)}, ${use.operand(1)}, ${use.ids(2)}, ` +
        `${use.operand(3)}, ${dEntropy}, ${use.result(0)}, ${use.result(1)}, ${use.result(2)}, ${flag(accumulate[2])}, ` +
        `${results}, ${use.scratch});`,
      scratch: `qn_linear_cross_entropy_scratch(${use.bf16}, ${flag(statistics)}, ${outputs[2] === null ? 1 : 2}, ${N}, ${C}, ${V})`,
    };
  },
  cacheWrite: ({ node, operandViews }, use) => {
    if (!isOp(node, "cacheWrite")) throw new Error("unreachable");
    const [slots, S, G, D] = shapeOf(node, 0);
    const [B, T] = shapeOf(node, 1);
    return {
      statement:
        `qn_cache_write(${B}, ${slots}, ${S}, ${T}, ${G * D}, ${use.operand(1)}, ${operandViews[1]?.stride ?? G * D}, ` +
        `${use.rowIndex(2)}, ${idsOr0(optionalInput(node, "rows"), use)}, ${cachedType(node.inputs[0])}, ${use.result(0)});`,
      scratch: "0",
    };
  },
  cacheCopy: ({ node }, use) => {
    const [slots, S, G, D] = shapeOf(node, 0);
    const [R] = shapeOf(node, 1);
    const indices = [1, 2, 3].map(use.ids).join(", ");
    return {
      statement: `qn_cache_copy(${R}, ${slots}, ${S}, ${G * D * DTYPE_BYTES[node.inputs[0].dtype]}, ${indices}, ${use.result(0)});`,
      scratch: "0",
    };
  },
  concatenate: ({ node, operands, results }, use) => {
    const axis = isOp(node, "concatenate") ? node.attributes.axis : 0;
    const { shape } = node.outputs[0];
    const rows = sizeOf(shape.slice(0, axis));
    const stride = sizeOf(shape.slice(axis));
    let offset = 0;
    const copies = node.inputs.flatMap((x, i) => {
      const width = sizeOf(x.shape.slice(axis));
      const to = `${use.result(0)} + ${offset}`;
      offset += width;
      // An operand written in place needs no copy.
      return operands[i] === results[0]
        ? []
        : [`qn_copy_rows(${rows}, ${width}, ${use.operand(i)}, ${to}, ${stride});`];
    });
    return { statement: copies.join("\n  "), scratch: "0" };
  },
  positions: ({ node }, use) => {
    const { shape } = node.outputs[0];
    const [B, length] = [shape[0], shape[shape.length - 1]];
    const sizes = shape.length > 1 ? `${B}, ${sizeOf(shape) / B / length}, ${length}` : `1, 1, ${length}`;
    return {
      statement: `qn_positions(${sizes}, ${use.rowIndex(0)}, (int *)${use.result(0)});`,
      scratch: "0",
    };
  },
  gather: ({ node }, use) => {
    const [V, K] = [0, 1].map((i) => shapeOf(node, i)[shapeOf(node, i).length - 1]);
    const rows = sizeOf(shapeOf(node, 1)) / K;
    return {
      statement: `qn_gather_ids(${rows}, ${V}, ${K}, ${use.operand(0)}, ${use.ids(1)}, ${use.result(0)});`,
      scratch: "0",
    };
  },
  scatterAdd: ({ node }, use) => {
    const ids = shapeOf(node, 0);
    const K = ids[ids.length - 1];
    const { shape } = node.outputs[0];
    const sizes = `${sizeOf(ids) / K}, ${shape[shape.length - 1]}, ${K}`;
    return {
      statement: `qn_scatter_add(${sizes}, ${use.ids(0)}, ${use.operand(1)}, ${use.result(0)});`,
      scratch: "0",
    };
  },
  random: ({ node }, use) => {
    const { stream } = node.attributes as { stream: number };
    return {
      statement: `qn_random(${sizeOf(node.outputs[0].shape)}, ${use.index(0)}, ${use.index(1)}, ${stream >>> 0}u, ${use.result(0)});`,
      scratch: "0",
    };
  },
};
