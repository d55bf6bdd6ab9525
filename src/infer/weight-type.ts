/** @file The names of the ways to store a model's matrices in memory. */

/** `stored`: as in the model's file. Otherwise the weights are read as f32 and converted. */
export const WEIGHT_TYPES = ["f32", "stored", "bf16", "f16", "q8_0", "q4_0", "q4_k", "q6_k"] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];
