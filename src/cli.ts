#!/usr/bin/env node
/** @file The list of verbs. */
import { runProcess } from "./commands/process.js";

await runProcess([
  {
    words: "doctor",
    summary: "show the compiler, instruction set, memory and measured peaks of this machine",
    load: () => import("./commands/doctor.js"),
  },
]);
