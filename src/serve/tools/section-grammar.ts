/** @file The constraint of answers that are sequences of sections, if they may be text or calls. */
import {
  type CompiledConstraint,
  compileParts,
  compileTriggered,
  type PartVocabulary,
  type TextPart,
} from "../../infer/index.js";
import { withoutStart } from "./call-grammar.js";
import type { Sections } from "./sections.js";

/**
 * Compiles free text in which every call is one of `calls`. If the format is not open, the answer begins with the header of a text
 * or with a call.
 * @param open how each of the calls begins
 */
export function compileSections(
  { trigger, textStart, isOpen }: Sections,
  open: string,
  calls: TextPart,
  vocabulary: PartVocabulary,
): CompiledConstraint {
  const free = compileTriggered([trigger], withoutStart(calls, open), vocabulary);
  if (isOpen) return free;
  const begun = compileParts({ type: "choice", parts: [{ type: "literal", text: textStart }, calls] }, vocabulary);
  const textOf = (id: number) => Buffer.from(vocabulary.tokenBytes[id] ?? []).toString("latin1");
  return {
    open() {
      let inner = begun.open();
      /** The text so far; null once it is known what the answer is. */
      let seen: string | null = "";
      return {
        mask: () => inner.mask(),
        accept(id) {
          inner.accept(id);
          if (seen === null) return;
          seen += textOf(id);
          if (seen === textStart) inner = free.open();
          if (seen === textStart || !textStart.startsWith(seen)) seen = null;
        },
        get isComplete() {
          return inner.isComplete;
        },
        shortestCompletion: () => inner.shortestCompletion(),
      };
    },
  };
}
