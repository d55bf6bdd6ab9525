/** @file How each large operation calls its C template: arguments and scratch. */
import type { TemplateKernel } from "../../compiler/index.js";
import { isOp, type Node, type Op, sizeOf } from "../../tensor/index.js";

/** C for the arguments of one call. */
export interface Arguments {
  /** Pointer to an operand's or result's floats. */
  readonly operand: (i: number) => string;
  readonly result: (i: number) => string;
  /** Pointer to an operand's integers, or the value of an i32 scalar operand. */
  readonly ids: (i: number) => string;
  readonly index: (i: number) => string;
  readonly scratch: string;
  /** Function of the epilogue, or 0. */
  readonly epilogue: string;
}

export interface TemplateCall {
  readonly statement: string;
  /** C expression: floats of scratch that the call needs. */
  readonly scratch: string;
}

type Emit = (kernel: TemplateKernel, use: Arguments) => TemplateCall;

/** The operations that are templates here; all others are loops. */
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
>;

const shapeOf = (node: Node, i: number) => node.inputs[i].shape;
const flag = (condition: boolean) => (condition ? 1 : 0);

function attentionShape(node: Node): { B: number; T: number; S: number; H: number; G: number; D: number } {
  const [B, T, H, D] = shapeOf(node, 0);
  const [, S, G] = shapeOf(node, 1);
  return { B, T, S, H, G, D };
}

export const templates: { readonly [O in TemplateOp]: Emit } = {
  matmul: ({ node, accumulate }, use) => {
    if (!isOp(node, "matmul")) throw new Error("unreachable");
    const { transposeA, transposeB } = node.attributes;
    const [M, N] = node.outputs[0].shape;
    const K = shapeOf(node, 0)[transposeA ? 0 : 1];
    if (M === 1 && !transposeA && transposeB) {
      return {
        statement:
          `qn_gemv(${N}, ${K}, ${use.operand(0)}, ${use.operand(1)}, ${use.result(0)}, ${flag(accumulate[0])}, ` +
          `${use.epilogue}, (void *)p);`,
        scratch: "0",
      };
    }
    const a = transposeA ? `1, ${M}` : `${K}, 1`;
    const b = transposeB ? `1, ${K}` : `${N}, 1`;
    return {
      statement:
        `qn_gemm(${M}, ${N}, ${K}, ${use.operand(0)}, ${a}, ${use.operand(1)}, ${b}, ` +
        `${use.result(0)}, ${N}, ${flag(accumulate[0])}, ${use.scratch}, ${use.epilogue}, (void *)p);`,
      scratch: `qn_gemm_scratch(${M}, ${N}, ${K})`,
    };
  },
  embedding: ({ node }, use) => {
    const [V, C] = shapeOf(node, 0);
    const N = sizeOf(shapeOf(node, 1));
    return {
      statement: `qn_embedding(${N}, ${C}, ${V}, ${use.operand(0)}, ${use.ids(1)}, ${use.result(0)});`,
      scratch: "0",
    };
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
  rope: ({ node }, use) => {
    const [B, T, H, D] = shapeOf(node, 0);
    const inverse = isOp(node, "rope") && node.attributes.inverse;
    return {
      statement:
        `qn_rope(${B * T}, ${H}, ${D}, ${use.operand(0)}, ${H * D}, ${use.result(0)}, ${H * D}, ` +
        `${use.operand(1)}, ${use.operand(2)}, ${T}, ${use.index(3)}, ${flag(inverse)});`,
      scratch: "0",
    };
  },
  attention: ({ node }, use) => {
    const { B, T, S, H, G, D } = attentionShape(node);
    const { scale } = node.attributes as { scale: number };
    return {
      statement:
        `qn_attention(${B}, ${T}, ${S}, ${H}, ${G}, ${D}, ${use.operand(0)}, ${H * D}, ${use.operand(1)}, ${G * D}, ` +
        `${use.operand(2)}, ${G * D}, ${use.result(0)}, ${use.result(1)}, ${scale}f, ${use.index(3)}, ${use.scratch});`,
      scratch: `qn_attention_scratch(${D})`,
    };
  },
  attentionGradient: ({ node }, use) => {
    const { B, T, H, G, D } = attentionShape(node);
    const { scale } = node.attributes as { scale: number };
    const inputs = [`${use.operand(0)}, ${H * D}`, `${use.operand(1)}, ${G * D}`, `${use.operand(2)}, ${G * D}`];
    const outputs = [`${use.result(0)}, ${H * D}`, `${use.result(1)}, ${G * D}`, `${use.result(2)}, ${G * D}`];
    return {
      statement:
        `qn_attention_backward(${B}, ${T}, ${H}, ${G}, ${D}, ${inputs.join(", ")}, ${use.operand(3)}, ` +
        `${use.operand(4)}, ${use.operand(5)}, ${outputs.join(", ")}, ${scale}f, ${use.scratch});`,
      scratch: `qn_attention_backward_scratch(${D})`,
    };
  },
  linearCrossEntropy: ({ node }, use) => {
    const [N, C] = shapeOf(node, 0);
    const [V] = shapeOf(node, 1);
    return {
      statement:
        `qn_linear_cross_entropy(${N}, ${C}, ${V}, ${use.operand(0)}, ${use.operand(1)}, ${use.ids(2)}, ` +
        `${use.result(0)}, ${use.scratch});`,
      scratch: `qn_linear_cross_entropy_scratch(${N}, ${C}, ${V})`,
    };
  },
  linearCrossEntropyGradient: ({ node, accumulate }, use) => {
    const [N, C] = shapeOf(node, 0);
    const [V] = shapeOf(node, 1);
    return {
      statement:
        `qn_linear_cross_entropy_gradient(${N}, ${C}, ${V}, ${use.operand(0)}, ${use.operand(1)}, ${use.ids(2)}, ` +
        `${use.operand(3)}, ${use.result(0)}, ${use.result(1)}, ${use.result(2)}, ${flag(accumulate[2])}, ${use.scratch});`,
      scratch: `qn_linear_cross_entropy_scratch(${N}, ${C}, ${V})`,
    };
  },
  cacheWrite: ({ node }, use) => {
    const [B, S, G, D] = shapeOf(node, 0);
    const T = shapeOf(node, 1)[1];
    return {
      statement: `qn_cache_write(${B}, ${S}, ${T}, ${G * D}, ${use.operand(1)}, ${use.index(2)}, ${use.result(0)});`,
      scratch: "0",
    };
  },
};
