import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that build much. In a fresh clone, where no times are known, one of them could be last, and the other cores idle. */
const LONG =
  /test.(backends\.(operations|stored-weights|cache-types|ragged)|package|train\.(run\.kill|pretrain\.(pretrain|plan)|optimizer\.adamw|bench)|docs\.(examples|align)|data\.(corpus|deduplicate)|commands\.outputs|scale\.sweep\.killed|align\.(bad-input|reward-model|rewards)|infer\.weight-types|fuzz\.fuzz|kernels)\.test\.ts$/;

class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // `npm run test:all` runs the slow ones too.
    exclude: process.env.QUERN_TEST_SLOW ? [] : ["test/**/*.slow.test.ts"],
    sequence: { sequencer: LongOnesFirst },
    // Compiling a C file or packing the package takes seconds, and the machines that test have two cores.
    // By default one core would be left idle.
    maxWorkers: "100%",
    // The modules, and clang's process where it is the compiler, serve one file after another: a fifth of the time of all
    // tests. A test that changes the environment puts it back.
    isolate: false,
    // Half of the time of all tests was the compiler's. The operations' tests build the widest row as it is shipped.
    // And threads that wait for one another lose most of their time where two files at once want all cores: a test that is
    // about threads says how many.
    env: { QUERN_OPTIMIZE: "0", QUERN_THREADS: "1" },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
