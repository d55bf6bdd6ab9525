/** @file Turns element-wise loops over matrices into loops over one long row. */
import type { Access, LoopBody, LoopValue } from "./kernels.js";

/**
 * Turns a loop that only accesses whole tensors elementwise into one long row, because the rows of a narrow matrix would leave
 * vectors half empty.
 */
export function flatten(body: LoopBody): LoopBody {
  const size = body.rows * body.columns;
  const whole = (access: Access) =>
    access.buffer.size === size &&
    access.offset === 0 &&
    access.columnStride === (body.columns === 1 ? 0 : 1) &&
    (body.rows === 1 ? access.rows.length === 0 : access.rows.length === 1) &&
    access.rows.every((term) => term.divide === 1 && term.modulo === 0 && term.stride === body.columns);
  const single = (access: Access) => access.rows.length === 0 && access.columnStride === 0;
  const flat = (access: Access): Access =>
    whole(access) && size > 1 ? { ...access, rows: [], columnStride: 1 } : access;
  const possible =
    body.values.every(
      (value) =>
        value.op !== "rowSum" &&
        value.op !== "rowMax" &&
        (value.op !== "load" || whole(value.access) || single(value.access)),
    ) && body.results.every((result) => result.kind === "fullSum" || (result.kind === "store" && whole(result.access)));
  if (!possible) return body;
  const varies: boolean[] = [];
  return {
    rows: 1,
    columns: size,
    values: body.values.map((value, i): LoopValue => {
      if (value.op === "load") {
        const access = flat(value.access);
        varies[i] = access.columnStride !== 0;
        return { ...value, access, varies: varies[i] };
      }
      varies[i] = value.op !== "literal" && value.operands.some((operand) => varies[operand]);
      return { ...value, varies: varies[i] };
    }),
    results: body.results.map((result) =>
      result.kind === "store" ? { ...result, access: flat(result.access) } : result,
    ),
  };
}
