/** @file Fields of requests that no answer depends on, and fields that this server refuses. */
import { z } from "zod";

/** A field that OpenAI has and this server does not support: only null is accepted. */
export const unsupported = (what = "this server") =>
  z
    .custom<null | undefined>((value) => value === null || value === undefined, `is not supported by ${what}`)
    .optional();

/** A field that does not change the answer: it is accepted and has no effect. */
export const metadata = <S extends z.ZodType>(schema: S) => schema.nullish();
