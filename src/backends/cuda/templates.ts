/** @file The launches of each large operation: which kernel of templates/ computes it, with which arguments. */
import { type Buffer, type ComputeDType, productDType, type TemplateKernel } from "../../compiler/index.js";
import { DTYPE_BYTES, isOp, type Node, type Op, optionalInput, sizeOf } from "../../tensor/index.js";
import { attentionGradientSteps, attentionSteps } from "./attention.js";
import { crossEntropyGradientSteps, crossEntropySteps } from "./cross-entropy.js";
import { idsOrNull, rowIndex, viewed } from "./operands.js";
import { matmulSteps } from "./products.js";
import { type Arithmetic, type Pointers, type Step, stepOf, typeOf } from "./step.js";

/** Operations with kernels of their own; all others become loops. */
type TemplateOp = Extract<
  Op,
  | ("matmul" | "embedding" | "embeddingGradient" | "rope" | "attention" | "attentionGradient")
  | ("linearCrossEntropy" | "linearCrossEntropyGradient" | "cacheWrite" | "cacheCopy" | "concatenate" | "positions")
  | ("gather" | "scatterAdd" | "random")
>;

type Emit = (kernel: TemplateKernel, how: Arithmetic) => readonly Step[];

/** @throws Error for an operation without a template, which is a defect of the compiler */
export function templateSteps(
  kernel: TemplateKernel,
  dtype: ComputeDType,
  library: Arithmetic["library"],
): readonly Step[] {
  const emit = templates[kernel.node.op as TemplateOp];
  if (!emit) throw new Error(`${kernel.node.op} has no template`);
  const products = productDType(kernel.node, dtype);
  return emit(kernel, { bf16: products === "bf16", fp8: products === "fp8", library });
}

const shapeOf = (node: Node, i: number) => node.inputs[i].shape;
const lastOf = (shape: readonly number[]) => shape[shape.length - 1];
const operand = ({ operands, node }: TemplateKernel, i: number): Buffer => {
  const buffer = operands[i];
  if (typeof buffer === "number") throw new Error(`${node.op}: operand ${i} is a number`);
  return buffer;
};
const result = ({ results }: TemplateKernel, i = 0) => results[i] as Buffer;

/** One launch with a thread per element. */
const perElement = (stem: string, size: number, write: (use: Pointers) => string): readonly Step[] =>
  size === 0 ? [] : [stepOf(stem, [Math.ceil(size / 256)], 256, write)];

const templates: { readonly [O in TemplateOp]: Emit } = {
  matmul: matmulSteps,
  attention: attentionSteps,
  attentionGradient: attentionGradientSteps,
  linearCrossEntropy: crossEntropySteps,
  linearCrossEntropyGradient: crossEntropyGradientSteps,

  embedding(kernel) {
    const { node } = kernel;
    const [V, C] = shapeOf(node, 0);
    const N = sizeOf(shapeOf(node, 1));
    const table = operand(kernel, 0);
    return perElement("embedding", N * C, (use) => {
      const look = `${N}, ${C}, ${V}, ${use.to(table)}, ${use.to(operand(kernel, 1))}`;
      return `qn_embedding<${typeOf(table.dtype)}>(${look}, ${use.to(result(kernel))});`;
    });
  },

  embeddingGradient(kernel) {
    const { node, accumulate } = kernel;
    const [V, C] = node.outputs[0].shape;
    const N = sizeOf(shapeOf(node, 0));
    return [
      stepOf("embedding_gradient", [Math.ceil(V / 32)], 256, (use) => {
        const pointers = [operand(kernel, 0), operand(kernel, 1), result(kernel)].map((buffer) => use.to(buffer));
        return `qn_embedding_gradient<${accumulate[0]}>(${N}, ${C}, ${V}, ${pointers.join(", ")});`;
      }),
    ];
  },

  rope(kernel) {
    const { node, operandViews, resultViews } = kernel;
    const [B, T, H, D] = shapeOf(node, 0);
    const [P] = shapeOf(node, 1);
    const inverse = isOp(node, "rope") && node.attributes.inverse;
    return perElement("rope", (B * T * H * D) / 2, (use) => {
      const x = viewed(use, operand(kernel, 0), operandViews[0], H * D);
      const y = viewed(use, result(kernel), resultViews[0], H * D);
      const tables = `${use.to(operand(kernel, 1))}, ${use.to(operand(kernel, 2))}, ${P}`;
      return `qn_rope<${inverse}>(${B * T}, ${H}, ${D}, ${x}, ${y}, ${tables}, ${T}, ${rowIndex(kernel, 3, use)});`;
    });
  },

  cacheWrite(kernel) {
    const { node, operandViews } = kernel;
    if (!isOp(node, "cacheWrite")) throw new Error("unreachable");
    const [slots, S, G, D] = shapeOf(node, 0);
    const [B, T] = shapeOf(node, 1);
    const size = B * T * G * D;
    const isBlocks = node.inputs[0].dtype === "q8_0";
    return perElement("cache_write", isBlocks ? size / 32 : size, (use) => {
      const x = viewed(use, operand(kernel, 1), operandViews[1], G * D);
      const rows = idsOrNull(kernel, optionalInput(node, "rows"), use);
      const sizes = `${B}, ${slots}, ${S}, ${T}, ${G * D}`;
      return `qn_cache_write(${sizes}, ${x}, ${rowIndex(kernel, 2, use)}, ${rows}, ${use.to(result(kernel))});`;
    });
  },

  cacheCopy(kernel) {
    const { node } = kernel;
    const [slots, S, G, D] = shapeOf(node, 0);
    const [R] = shapeOf(node, 1);
    const bytes = G * D * DTYPE_BYTES[node.inputs[0].dtype];
    return perElement("cache_copy", S * bytes, (use) => {
      const indices = [1, 2, 3].map((i) => use.to(operand(kernel, i))).join(", ");
      return `qn_cache_copy(${R}, ${slots}, ${S}, ${bytes}, ${indices}, (unsigned char *)${use.to(result(kernel))});`;
    });
  },

  concatenate(kernel) {
    const { node, operands } = kernel;
    const axis = isOp(node, "concatenate") ? node.attributes.axis : 0;
    const { shape } = node.outputs[0];
    const rows = sizeOf(shape.slice(0, axis));
    const stride = sizeOf(shape.slice(axis));
    const to = result(kernel);
    let offset = 0;
    return node.inputs.flatMap((x, i) => {
      const width = sizeOf(x.shape.slice(axis));
      const elements = offset;
      offset += width;
      // An operand written in place needs no copy.
      if (operands[i] === to) return [];
      return perElement("copy_rows", rows * width, (use) => {
        return `qn_copy_rows(${rows}, ${width}, ${use.to(operand(kernel, i))}, ${use.to(to, { elements })}, ${stride});`;
      });
    });
  },

  positions(kernel) {
    const { shape } = kernel.node.outputs[0];
    const [B, length] = [shape.length > 1 ? shape[0] : 1, lastOf(shape)];
    const rows = sizeOf(shape) / B / length;
    return perElement("positions", sizeOf(shape), (use) => {
      return `qn_positions(${B}, ${rows}, ${length}, ${rowIndex(kernel, 0, use)}, ${use.to(result(kernel))});`;
    });
  },

  gather(kernel) {
    const [V, K] = [0, 1].map((i) => lastOf(shapeOf(kernel.node, i)));
    const size = sizeOf(shapeOf(kernel.node, 1));
    return perElement("gather", size, (use) => {
      const pointers = [operand(kernel, 0), operand(kernel, 1), result(kernel)].map((buffer) => use.to(buffer));
      return `qn_gather_ids(${size / K}, ${V}, ${K}, ${pointers.join(", ")});`;
    });
  },

  scatterAdd(kernel) {
    const ids = shapeOf(kernel.node, 0);
    const { shape } = kernel.node.outputs[0];
    return perElement("scatter_add", sizeOf(shape), (use) => {
      const pointers = [operand(kernel, 0), operand(kernel, 1), result(kernel)].map((buffer) => use.to(buffer));
      return `qn_scatter_add(${sizeOf(ids) / lastOf(ids)}, ${lastOf(shape)}, ${lastOf(ids)}, ${pointers.join(", ")});`;
    });
  },

  random(kernel) {
    const { stream } = kernel.node.attributes as { stream: number };
    const size = sizeOf(kernel.node.outputs[0].shape);
    return perElement("random", Math.ceil(size / 4), (use) => {
      const [seed, step] = [0, 1].map((i) => {
        const value = kernel.operands[i];
        return typeof value === "number" ? `${value}` : `*${use.to(value)}`;
      });
      return `qn_random(${size}, ${seed}, ${step}, ${stream >>> 0}u, ${use.to(result(kernel))});`;
    });
  },
};
