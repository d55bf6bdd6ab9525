/**
 * @file WGSL functions that kernels call. A shader contains the ones that it names, and the ones that those name.
 *
 * WGSL lets an implementation assume that no float is infinite or NaN, so tests for them look at bits.
 */

const FUNCTIONS: { readonly [name: string]: string } = {
  infinity: `
var<private> infinity_bits: u32 = 0x7f800000u;
fn infinity() -> f32 { return bitcast<f32>(infinity_bits); }`,
  nan_bits: "var<private> nan_bits: u32 = 0x7fc00000u;",
  half_of: "fn half_of(word: u32, i: u32) -> u32 { return (word >> (16u * (i & 1u))) & 0xffffu; }",
  is_nan: "fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }",
  // To nearest, ties to even.
  f32_to_bf16: `
fn f32_to_bf16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if (is_nan(x)) { return (bits >> 16u) | 0x40u; }
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}`,
  round_bf16: "fn round_bf16(x: f32) -> f32 { return bitcast<f32>(f32_to_bf16(x) << 16u); }",
  f32_to_f16: `
fn f32_to_f16(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return sign | 0x7e00u; }
  if (size >= 0x477ff000u) { return sign | 0x7c00u; } // 65520 and more
  if (size < 0x38800000u) { // below 2^-14: a multiple of 2^-24
    if (size < 0x33000000u) { return sign; }
    let shift = 126u - (size >> 23u);
    let mantissa = (size & 0x7fffffu) | 0x800000u;
    let kept = mantissa >> shift;
    let rest = mantissa & ((1u << shift) - 1u);
    let half = 1u << (shift - 1u);
    let up = select(0u, 1u, rest > half || (rest == half && (kept & 1u) == 1u));
    return sign | (kept + up);
  }
  let rounded = size + 0xfffu + ((size >> 13u) & 1u);
  return sign | ((rounded - 0x38000000u) >> 13u);
}`,
  f16_to_f32: `
fn f16_to_f32(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let exponent = (bits >> 10u) & 31u;
  let mantissa = bits & 1023u;
  if (exponent == 31u) { return bitcast<f32>(sign | 0x7f800000u | (mantissa << 13u)); }
  if (exponent == 0u) {
    let value = f32(mantissa) * 5.9604644775390625e-8f;
    return bitcast<f32>(sign | bitcast<u32>(value));
  }
  return bitcast<f32>(sign | ((exponent + 112u) << 23u) | (mantissa << 13u));
}`,
  // Truncates and clamps; NaN becomes 0.
  f32_to_i32: `
fn f32_to_i32(x: f32) -> i32 {
  if (is_nan(x)) { return 0; }
  if (x >= 2147483648.0f) { return 2147483647; }
  if (x <= -2147483648.0f) { return -2147483647 - 1; }
  return i32(x);
}`,
  i32_to_u8: "fn i32_to_u8(x: i32) -> i32 { return clamp(x, 0, 255); }",
  // e^(2x) overflows where tanh is 1; the difference 1 − e^(−2x) loses digits where it is small.
  tanh_exact: `
fn tanh_exact(x: f32) -> f32 {
  let size = abs(x);
  if (size < 0.08f) {
    let square = x * x;
    return x * (1.0f + square * (-0.33333334f + square * (0.13333334f - 0.053968254f * square)));
  }
  let e = exp(-2.0f * size);
  return sign(x) * (1.0f - e) / (1.0f + e);
}`,
  // Large arguments would overflow in one of the two forms.
  sigmoid: `
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0f, x >= 0.0f) / (1.0f + e);
}`,
  // NaN in, NaN out, as in C's templates and in NumPy.
  minimum: "fn minimum(a: f32, b: f32) -> f32 { return select(select(min(a, b), b, is_nan(b)), a, is_nan(a)); }",
  maximum: "fn maximum(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, is_nan(b)), a, is_nan(a)); }",
  multiply_high: `
fn multiply_high(a: u32, b: u32) -> u32 {
  let middle = (a >> 16u) * (b & 0xffffu) + (((a & 0xffffu) * (b & 0xffffu)) >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}`,
  // Philox 4×32-10 (Salmon et al., SC 2011), as in tensor/philox.ts.
  philox: `
fn philox(counter: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = seed;
  for (var round = 0; round < 10; round++) {
    let high0 = multiply_high(0xd2511f53u, c.x);
    let high1 = multiply_high(0xcd9e8d57u, c.z);
    c = vec4<u32>(high1 ^ c.y ^ k.x, 0xcd9e8d57u * c.z, high0 ^ c.w ^ k.y, 0xd2511f53u * c.x);
    k = k + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}`,
};

/** The functions that a text names, each after those that it names itself. */
export function libraryOf(text: string): string {
  const chosen: string[] = [];
  const choose = (from: string) => {
    for (const [name, source] of Object.entries(FUNCTIONS)) {
      if (chosen.includes(source) || source === from || !new RegExp(`\\b${name}\\b`).test(from)) continue;
      choose(source);
      if (!chosen.includes(source)) chosen.push(source);
    }
  };
  choose(text);
  return chosen.map((source) => source.trim()).join("\n");
}

/** Declares `NAME(x, tid)`: the sum or maximum of x over a workgroup, the same for every thread, always added in the same order. */
export function workgroupReduction(name: string, kind: "sum" | "max", threads: number): string {
  const combine =
    kind === "sum" ? "part_NAME[tid] + part_NAME[tid + step]" : "max(part_NAME[tid], part_NAME[tid + step])";
  return `
var<workgroup> part_NAME: array<f32, ${threads}>;
fn NAME(x: f32, tid: u32) -> f32 {
  workgroupBarrier();
  part_NAME[tid] = x;
  workgroupBarrier();
  for (var step = ${threads / 2}u; step > 0u; step = step / 2u) {
    if (tid < step) { part_NAME[tid] = ${combine}; }
    workgroupBarrier();
  }
  return part_NAME[0];
}`.replaceAll("NAME", name);
}
