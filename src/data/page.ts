/**
 * @file What the data stage reads: a page, which is HTML with its bytes as they came or a text that needs no extraction,
 * and where it came from, to the byte.
 */

import type { Origin } from "../documents/index.js";

export type { Origin };

export interface Page {
  readonly id: string;
  readonly url?: string;
  readonly source?: string;
  readonly origin: Origin;
  readonly content:
    | { readonly kind: "html"; readonly bytes: Uint8Array; readonly contentType?: string }
    | { readonly kind: "text"; readonly text: string };
}
