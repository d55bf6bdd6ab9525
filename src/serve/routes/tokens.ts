/** @file `POST /tokenize` and `/detokenize`. */
import { bodyOf, type RouteContext, type Serving, withModel } from "../context.js";
import { ApiError } from "../errors.js";
import { detokenizeRequest, tokenizeRequest } from "../requests/tokens.js";

/** Returns ids, or with `with_pieces` objects of an id and its text; the bytes where these are no whole characters. */
export async function tokenize(c: RouteContext, serving: Serving): Promise<Response> {
  const request = await bodyOf(c, serving, tokenizeRequest);
  return withModel(c, serving, request.model, async ({ model: { tokenizer } }, respond) => {
    const ids = Array.from(
      tokenizer.encode(request.content, {
        addSpecial: request.add_special ?? false,
        special: (request.parse_special ?? true) ? "allow" : "text",
      }),
    );
    if (request.with_pieces !== true) return respond.json({ tokens: ids, count: ids.length });
    return respond.json({
      tokens: ids.map((id) => ({ id, piece: pieceOf(tokenizer.tokenBytes(id)) })),
      count: ids.length,
    });
  });
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function pieceOf(bytes: Uint8Array): string | number[] {
  try {
    return strict.decode(bytes);
  } catch {
    return Array.from(bytes);
  }
}

export async function detokenize(c: RouteContext, serving: Serving): Promise<Response> {
  const { model: id, tokens } = await bodyOf(c, serving, detokenizeRequest);
  return withModel(c, serving, id, async ({ model: { tokenizer } }, respond) => {
    const wrong = tokens.findIndex((token) => !tokenizer.has(token));
    if (wrong >= 0) {
      const param = `tokens[${wrong}]`;
      throw new ApiError(400, `${param} is ${tokens[wrong]}, which is no token of this model`, {
        param,
        code: "invalid_value",
      });
    }
    return respond.json({ content: tokenizer.decode(tokens) });
  });
}
