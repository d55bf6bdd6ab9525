/** @file Launches of attention and its gradient. */
import type { Buffer, TemplateKernel } from "../../compiler/index.js";
import { isOp, optionalInput } from "../../tensor/index.js";
import { idsOrNull, rowIndex, viewed } from "./operands.js";
import { type Arithmetic, aligned, type Pointers, type Step, stepOf } from "./step.js";

/** Queries or keys per block: one per warp. */
const TASKS = 4;

/** Queries, or keys for their gradients, per block on tensor cores. */
const FLASH_ROWS = 64;
/** Whether the kernels on tensor cores (templates/attention_bf16.h) can compute it. */
const isFlash = (D: number, bf16: boolean) => bf16 && D % 16 === 0 && D <= 128;

/** Up to this many queries of a text, as in decoding, its keys are split over several blocks. */
const FEW_QUERIES = 8;
/** Keys per block: at least this many, and so many that there are at most `MAX_PARTS` blocks. */
const LEAST_KEYS = 64;
const MAX_PARTS = 64;
/** Keys per block. It depends on the cache's length only, so a text's result does not depend on the others in the batch. */
const keysPerPart = (S: number) => Math.max(LEAST_KEYS, Math.ceil(S / MAX_PARTS / 32) * 32);

/** q, k and v, each followed by the distance of its rows. */
function threeOperands({ node, operands, operandViews }: TemplateKernel, use: Pointers): string {
  return [0, 1, 2]
    .map((i) => {
      const [, , heads, D] = node.inputs[i].shape;
      return viewed(use, operands[i] as Buffer, operandViews[i], heads * D);
    })
    .join(", ");
}

/** A `qn_mask`. */
function maskOf(kernel: TemplateKernel, position: string, use: Pointers): string {
  const node = kernel.node;
  if (!isOp(node, "attention") && !isOp(node, "attentionGradient")) throw new Error("unreachable");
  const [slots, S] = node.inputs[1].shape;
  const lengths = optionalInput(node, "lengths");
  const ids = ["rows", "segments", "ends"].map((name) => idsOrNull(kernel, optionalInput(node, name), use));
  const length = lengths < 0 ? `qn_rows{0, 0, ${S}}` : rowIndex(kernel, lengths, use);
  return `qn_mask{${S}, ${slots}, ${position}, ${length}, ${ids.join(", ")}}`;
}

export function attentionSteps(kernel: TemplateKernel, { bf16 }: Arithmetic): Step[] {
  const { node, results } = kernel;
  if (!isOp(node, "attention")) throw new Error("unreachable");
  const [B, T, H, D] = node.inputs[0].shape;
  const G = node.inputs[1].shape[2];
  const [o, lse] = results as readonly Buffer[];
  const given = (use: Pointers) => {
    const to = `${use.to(o)}, ${use.to(lse)}, ${node.attributes.scale}f`;
    const mask = maskOf(kernel, rowIndex(kernel, 3, use), use);
    return `(${B}, ${T}, ${H}, ${G}, ${threeOperands(kernel, use)}, ${to}, ${mask});`;
  };
  if (isFlash(D, bf16)) {
    return [stepOf("flash", [Math.ceil(T / FLASH_ROWS) * B * H], 128, (use) => `qn_flash<${D}>${given(use)}`)];
  }
  const [, S] = node.inputs[1].shape;
  const keys = keysPerPart(S);
  if (T <= FEW_QUERIES && S > keys) return splitSteps(kernel, bf16, keys);
  return [
    stepOf("attention", [Math.ceil((B * H * T) / TASKS)], 32 * TASKS, (use) => {
      return `qn_attention<${D}, ${bf16}>${given(use)}`;
    }),
  ];
}

/** Attention of few queries: a block per query and part of its keys, then a block per query that joins the parts. */
function splitSteps(kernel: TemplateKernel, bf16: boolean, keys: number): Step[] {
  const { node, results } = kernel;
  if (!isOp(node, "attention")) throw new Error("unreachable");
  const [B, T, H, D] = node.inputs[0].shape;
  const [, S, G] = node.inputs[1].shape;
  const [o, lse] = results as readonly Buffer[];
  const queries = B * T * H;
  const parts = Math.ceil(S / keys);
  const mask = (use: Pointers) => maskOf(kernel, rowIndex(kernel, 3, use), use);
  const sums = (use: Pointers) => use.scratch("float", 0, 4 * queries * parts * D);
  const statistics = (use: Pointers) => use.scratch("float", aligned(4 * queries * parts * D), 8 * queries * parts);
  return [
    stepOf("attention_part", [queries, parts], 32, (use) => {
      const given = `${T}, ${H}, ${G}, ${threeOperands(kernel, use)}, ${sums(use)}, ${statistics(use)}`;
      return `qn_attention_part<${D}, ${bf16}>(${given}, ${node.attributes.scale}f, ${mask(use)}, ${keys});`;
    }),
    stepOf("attention_join", [queries], 32, (use) => {
      const given = `${T}, ${H}, ${G}, ${sums(use)}, ${statistics(use)}, ${use.to(o)}, ${use.to(lse)}`;
      return `qn_attention_join<${D}>(${given}, ${mask(use)}, ${parts});`;
    }),
  ];
}

export function attentionGradientSteps(kernel: TemplateKernel, { bf16 }: Arithmetic): Step[] {
  const { node, operands, results, resultViews } = kernel;
  if (!isOp(node, "attentionGradient")) throw new Error("unreachable");
  const [B, T, H, D] = node.inputs[0].shape;
  const G = node.inputs[1].shape[2];
  const [o, lse, d_o] = operands.slice(3) as readonly Buffer[];
  const delta = (use: Pointers) => use.scratch("float", 0, aligned(4 * B * T * H));
  const given = (use: Pointers) =>
    `${B}, ${T}, ${H}, ${G}, ${threeOperands(kernel, use)}, ${use.to(lse)}, ${use.to(d_o)}, ${delta(use)}`;
  const end = (use: Pointers) => `${node.attributes.scale}f, ${maskOf(kernel, "qn_rows{0, 0, 0}", use)}`;
  const gradient = (i: number, use: Pointers) =>
    viewed(use, results[i] as Buffer, resultViews[i], (i === 0 ? H : G) * D);
  const tiles = Math.ceil(T / FLASH_ROWS);
  const flash = [
    stepOf("flash_dq", [tiles * B * H], 128, (use) => {
      return `qn_flash_dq<${D}>(${given(use)}, ${gradient(0, use)}, ${end(use)});`;
    }),
    stepOf("flash_dk_dv", [tiles * B * G], 128, (use) => {
      return `qn_flash_dk_dv<${D}>(${given(use)}, ${gradient(1, use)}, ${gradient(2, use)}, ${end(use)});`;
    }),
  ];
  return [
    stepOf("attention_delta", [Math.ceil((B * H * T) / TASKS)], 32 * TASKS, (use) => {
      return `qn_attention_delta<${D}>(${B}, ${T}, ${H}, ${use.to(o)}, ${use.to(d_o)}, ${delta(use)});`;
    }),
    ...(isFlash(D, bf16)
      ? flash
      : [
          stepOf("attention_dq", [Math.ceil((B * H * T) / TASKS)], 32 * TASKS, (use) => {
            return `qn_attention_dq<${D}, ${bf16}>(${given(use)}, ${gradient(0, use)}, ${end(use)});`;
          }),
          stepOf("attention_dk_dv", [Math.ceil((B * G * T) / TASKS)], 32 * TASKS, (use) => {
            const to = `${gradient(1, use)}, ${gradient(2, use)}`;
            return `qn_attention_dk_dv<${D}, ${bf16}>(${given(use)}, ${to}, ${end(use)});`;
          }),
        ]),
  ];
}
