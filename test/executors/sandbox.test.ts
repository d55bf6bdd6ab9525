/** The sandbox: every limit, what code leaves behind, isolation, and what happens where the system cannot isolate. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { probeIsolation } from "../../src/executors/isolation.js";
import { runInSandbox, type SandboxOptions } from "../../src/executors/sandbox.js";

const { isolation, reason } = await probeIsolation();
const hasPython = (() => {
  try {
    execFileSync("python3", ["-c", ""]);
    return true;
  } catch {
    return false;
  }
})();
// The limits hold with and without isolation, so the tests run on every system.
const javascript = (code: string, options: SandboxOptions = {}, input?: string) =>
  runInSandbox({ language: "javascript", code, input }, { allowCode: true, ...options });
const python = (code: string, options: SandboxOptions = {}, input?: string) =>
  runInSandbox({ language: "python", code, input }, { allowCode: true, ...options });
const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("quern-sandbox-"));

const leaveChild = (file: string) => `
  const { spawn } = require("node:child_process");
  const code = "setTimeout(() => require('node:fs').writeFileSync('${file}', ''), 1500)";
  spawn(process.execPath, ["-e", code], { detached: __DETACHED__, stdio: "inherit" }).unref();
  console.log("left");
`;

describe.concurrent("a program", () => {
  it("returns its output and exit code", async () => {
    const code = 'console.log("out"); console.error("err"); process.exitCode = 3;';
    expect(await javascript(code)).toMatchObject({ exitCode: 3, signal: null, stopped: null, stdout: "out\n" });
    const { stderr, seconds } = await javascript(code);
    expect(stderr).toBe("err\n");
    expect(seconds).toBeLessThan(10);
  });

  it("reads its input and its files", async () => {
    const read = (path: string) => `process.stdout.write(require("node:fs").readFileSync(${path}));`;
    const { stdout } = await runInSandbox(
      { language: "javascript", code: read("0") + read('"data.txt"'), input: "a", files: { "data.txt": "b" } },
      { allowCode: true },
    );
    expect(stdout).toBe("ab");
  });

  it("may use modules of JavaScript", async () => {
    const { stdout } = await javascript('import { sep } from "node:path"; console.log(await Promise.resolve(sep));');
    expect(stdout).toBe("/\n");
  });

  it("sees no variable of this process", async () => {
    process.env.QUERN_TEST_SECRET = "secret";
    const { stdout } = await javascript("console.log(Object.keys(process.env).sort().join())");
    expect(stdout.trim().split(",")).toEqual(expect.not.arrayContaining(["QUERN_TEST_SECRET"]));
    expect(stdout.trim().split(",").length).toBeLessThan(8);
  });

  it("is killed when its time is over", async () => {
    const result = await javascript('console.log("begin"); while (true);', { seconds: 1 });
    expect(result).toMatchObject({ exitCode: null, stopped: "time", stdout: "begin\n" });
    expect(result.seconds).toBeLessThan(5);
    expect(await javascript("setInterval(() => {}, 1000)", { seconds: 0.5 })).toMatchObject({ stopped: "time" });
  });

  it("is killed when its CPU time is over", { timeout: 30_000 }, async () => {
    expect(await javascript("while (true);", { seconds: 25, cpuSeconds: 1 })).toMatchObject({ stopped: "time" });
  });

  it.skipIf(process.platform === "darwin")("cannot take more memory than its limit", async () => {
    const grow = (what: string) => `const all = []; while (true) all.push(${what});`;
    for (const what of ["new Array(1e5).fill(.5)", "Buffer.alloc(1e7, 1)"]) {
      expect(await javascript(grow(what), { memory: 64 })).toMatchObject({ exitCode: null, stopped: "memory" });
    }
  });

  it("is killed when it prints too much", async () => {
    const code = 'while (true) require("node:fs").writeSync(1, "x".repeat(1000));';
    const { stopped, stdout } = await javascript(code, { outputBytes: 5000 });
    expect([stopped, stdout.length]).toEqual(["output", 5000]);
  });

  it("is stopped by the signal", async () => {
    const stop = new AbortController();
    const result = javascript("while (true);", { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 300);
    await expect(result).rejects.toThrow("enough");
    await expect(javascript("", { signal: stop.signal })).rejects.toThrow("enough");
  });

  it("names the signal that ended it", async () => {
    expect(await javascript('process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)')).toMatchObject({
      exitCode: null,
      signal: "SIGTERM",
      stopped: null,
    });
  });

  it("leaves no process behind", async () => {
    const file = join(tmpdir(), `quern-left-${process.pid}`);
    const { stdout, seconds } = await javascript(leaveChild(file).replace("__DETACHED__", "false"));
    expect(stdout).toBe("left\n");
    expect(seconds).toBeLessThan(1.4);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(existsSync(file)).toBe(false);
  });

  it("cannot place files outside of its folder by their names", async () => {
    const files = { "../outside": "" };
    await expect(runInSandbox({ language: "python", code: "", files }, { allowCode: true })).rejects.toThrow(
      /not a valid name for a file/,
    );
  });
});

describe.skipIf(!hasPython).concurrent("a program in Python", () => {
  it("returns its output and exit code", async () => {
    const code = "import sys; print(sys.stdin.read() + 'é'); sys.exit(4)";
    expect(await python(code, {}, "in")).toMatchObject({ exitCode: 4, stdout: "iné\n", stopped: null });
  });

  it("is held to its limits", async () => {
    expect(await python("while True: pass", { seconds: 1 })).toMatchObject({ stopped: "time" });
    expect(await python("while True: print('x' * 1000)", { outputBytes: 5000 })).toMatchObject({ stopped: "output" });
    if (process.platform === "darwin") return;
    const grow = "all = []\nwhile True: all.append(bytearray(10**7))";
    expect(await python(grow, { memory: 64 })).toMatchObject({ stopped: "memory" });
  });

  it("cannot fill the disk", async () => {
    const { exitCode, stderr } = await python("open('big', 'wb').write(bytes(10**8))");
    expect([exitCode, /File too large/.test(stderr)]).toEqual([1, true]);
  });
});

describe.skipIf(isolation === null).concurrent("isolated code", () => {
  it("has no network, not even to this machine", async () => {
    const server = createServer((_, response) => response.end("reached")).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const code = `fetch("http://127.0.0.1:${port}").then((r) => r.text()).then(console.log, (e) => console.log(e.cause.code))`;
      const { stdout, isolation: by } = await javascript(code);
      expect([stdout.trim(), by]).toEqual([expect.stringMatching(/^E[A-Z]+$/), isolation?.by]);
    } finally {
      server.close();
    }
  });

  it("writes only into its folder", async () => {
    const code = `
      const fs = require("node:fs");
      fs.writeFileSync("inside", "");
      for (const folder of ["${tmpdir()}", "${process.cwd()}", "/dev", "/sys", "/proc/sys/kernel"]) {
        try { fs.writeFileSync(folder + "/quern-outside", ""); console.log("wrote", folder); } catch {}
      }
      fs.writeFileSync("/dev/null", "x");
      console.log(fs.readdirSync(".").join());`;
    expect((await javascript(code)).stdout).toBe("inside,main.js\n");
  });

  it("sees and leaves no process, even in a session of its own", async () => {
    const file = join(tmpdir(), `quern-escaped-${process.pid}`);
    await javascript(leaveChild(file).replace("__DETACHED__", "true"));
    const code = `try { process.kill(${process.pid}, 0); console.log("seen"); } catch (error) { console.log(error.code); }`;
    expect((await javascript(code)).stdout).toBe("ESRCH\n");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(existsSync(file)).toBe(false);
  });

  it("removes its folder, even without permissions", async () => {
    const code =
      'const fs = require("node:fs"); fs.mkdirSync("a/b", { recursive: true }); fs.chmodSync("a", 0); console.log(process.cwd())';
    const { stdout } = await javascript(code);
    expect(folders()).not.toContain(stdout.trim().split("/").at(-1));
  });
});

it.skipIf(isolation !== null)("refuses code where the system cannot isolate it", async () => {
  await expect(runInSandbox({ language: "javascript", code: "" })).rejects.toThrow(/--allow-code/);
  expect(reason).not.toBe("");
});
