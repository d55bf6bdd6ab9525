import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Compiling a C file or packing the package takes seconds, and the machines that test have two cores.
    // By default one core would be left idle.
    maxWorkers: "100%",
    // The modules, and clang's thread where it is the compiler, serve one file after another: a fifth of the time of all
    // tests. A test that changes the environment puts it back.
    isolate: false,
    // Half of the time of all tests was the compiler's. The operations' tests build the widest row as it is shipped.
    env: { QUERN_OPTIMIZE: "0" },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
