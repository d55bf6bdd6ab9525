import { describe, expect, it } from "vitest";
import { isBuilt } from "../../src/built-module.js";
import { QuernError, WorkerPool, type WorkerPoolOptions } from "../../src/executors/index.js";

const module = new URL("./fixtures/mortal-worker.mjs", import.meta.url);

async function withPool<T>(
  use: (pool: WorkerPool<string, string, string>) => Promise<T>,
  options: Partial<WorkerPoolOptions> = {},
): Promise<T> {
  const pool = new WorkerPool<string, string, string>({ module, setup: "baked", threads: 1, ...options });
  try {
    return await use(pool);
  } finally {
    await pool.close();
  }
}

describe.skipIf(!isBuilt())("a pool of worker threads", () => {
  it("answers tasks in order, with messages before the answers", async () => {
    await withPool(async (pool) => {
      const heard: string[] = [];
      const onMessage = (message: string) => void heard.push(message);
      const answers = ["a", "b", "c"].map((task) => pool.runOn(0, task, { onMessage }));
      expect(await Promise.all(answers)).toEqual(["baked a", "baked b", "baked c"]);
      expect(heard).toEqual(["begins a", "begins b", "begins c"]);
      expect(pool.hasRoom()).toBe(true);
      pool.grow(2);
      expect(await pool.runOnEach("d")).toEqual(["baked d", "baked d"]);
    });
  });

  it("forwards an error with the file and line where it was thrown, and continues", async () => {
    await withPool(async (pool) => {
      const error = await pool.run("throw").catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ name: "TypeError", message: "a fault in a worker" });
      expect((error as Error).stack).toMatch(/mortal-worker\.mjs:\d+:\d+/);
      expect(await pool.run("e")).toBe("baked e");
    });
  });

  it("reports in one sentence that a worker ended or ran out of memory", async () => {
    await withPool(async (pool) => {
      const waiting = [pool.run("exit"), pool.run("f")];
      for (const each of waiting) {
        await expect(each).rejects.toThrow(
          "a worker thread (mortal-worker.mjs) ended with exit code 3 before its tasks were finished",
        );
        await expect(each).rejects.toBeInstanceOf(QuernError);
      }
      expect(() => pool.hasRoom()).toThrow("ended with exit code 3");
    });
    await withPool(
      async (pool) => {
        await expect(pool.run("memory")).rejects.toThrow(
          /^a worker thread \(mortal-worker\.mjs\) ran out of memory; use/,
        );
      },
      { resourceLimits: { maxOldGenerationSizeMb: 16 } },
    );
  });

  it("terminates a worker that never answers when the signal aborts", async () => {
    const stop = new AbortController();
    await withPool(
      async (pool) => {
        const answer = pool.run("hang");
        setTimeout(() => stop.abort(new Error("enough")), 100);
        await expect(answer).rejects.toThrow("enough");
        await expect(pool.run("g")).rejects.toThrow("enough");
      },
      { signal: stop.signal },
    );
    expect(() => new WorkerPool({ module, setup: "", threads: 1, signal: stop.signal })).toThrow("enough");
  });

  it("reports a module that cannot be loaded with the first task", async () => {
    await withPool((pool) => expect(pool.run("a")).rejects.toThrow(/Cannot find module .*none\.mjs/), {
      module: new URL("./fixtures/none.mjs", import.meta.url),
    });
  });
});
