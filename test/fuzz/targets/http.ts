/** @file The HTTP message of an archive's record. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseHttpResponse } from "../../../src/data/index.js";
import { httpMessage } from "../http.js";
import type { Target } from "../target.js";

export function open(): Target {
  return {
    make: (random) => ({ "message.http": httpMessage(random) }),
    async read(folder, reached) {
      if (parseHttpResponse(readFileSync(join(folder, "message.http")), 2 ** 24) !== null) reached();
    },
  };
}
