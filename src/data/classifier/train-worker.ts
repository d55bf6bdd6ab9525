/** @file A thread of Hogwild training: lines of its part of the file into the matrices that all threads share. */
import { workerData } from "node:worker_threads";
import { classifierKernel } from "./model.js";
import { wholeLines } from "./train.js";

interface Job {
  readonly memory: WebAssembly.Memory;
  readonly struct: number;
  readonly stack: number;
  readonly buffer: number;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
  readonly lr: number;
  readonly total: number;
}

const { memory, struct, stack, buffer, path, from, to, epoch, lr, total } = workerData as Job;
const kernel = classifierKernel(memory);
kernel.__stack_pointer.value = stack;
let seen = 0;
for (let pass = 0; pass < epoch; pass++) {
  for await (const lines of wholeLines(path, from, to)) {
    new Uint8Array(memory.buffer).set(lines, buffer);
    seen += kernel.train_text(struct, buffer, buffer + lines.length, seen, total, lr);
  }
}
