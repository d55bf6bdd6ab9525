import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { z } from "zod";
import { defineCommand } from "./command.js";

export default defineCommand({
  description: "Show what Quern finds on this machine.",
  options: z.object({}),
  examples: ["quern doctor", "quern doctor --json"],
  async run(_options, { print }) {
    const machine = {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: availableParallelism(),
      memory: totalmem(),
      free: freemem(),
    };
    print(`processor  ${machine.cpu}, ${machine.cores} cores`);
    return machine;
  },
});
