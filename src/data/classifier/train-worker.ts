/** @file A worker thread of Hogwild training: reads its part of the file and updates the matrices that all threads share. */
import type { Answer } from "../../executors/index.js";
import { classifierKernel } from "./model.js";
import { type HogwildPart, type HogwildSetup, wholeLines } from "./train.js";

export function openWorker({ memory, path, epoch, lr, total }: HogwildSetup): Answer<HogwildPart, undefined> {
  const kernel = classifierKernel(memory);
  return async ({ struct, stack, buffer, from, to }) => {
    kernel.__stack_pointer.value = stack;
    let seen = 0;
    for (let pass = 0; pass < epoch; pass++) {
      for await (const lines of wholeLines(path, from, to)) {
        new Uint8Array(memory.buffer).set(lines, buffer);
        seen += kernel.train_text(struct, buffer, buffer + lines.length, seen, total, lr);
      }
    }
    return { result: undefined };
  };
}
