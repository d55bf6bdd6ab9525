import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  defineModel,
  fetchHubModel,
  initialValues,
  openModel,
  parametersOf,
  writeModel,
} from "../../src/model/index.js";
import { ggufBytes, tinyLlama } from "./gguf-writer.js";

const config = defineModel({ family: "gpt2", layers: 1, width: 12, heads: 2, vocabSize: 31, sequence: 16 });
const values = new Map(parametersOf(config).map((parameter) => [parameter.name, initialValues(parameter, 3)]));
const read = (name: string) => values.get(name) as Float32Array;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "quern-hub-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("weights in several files", () => {
  it.each(["F32", "F16", "BF16"] as const)("are written and read as %s", async (dtype) => {
    const folder = await mkdtemp(join(root, "sharded-"));
    await writeFile(join(folder, "model.safetensors"), "of an earlier model");
    await writeModel(folder, config, read, { dtype, shardBytes: 2000 });
    const parts = (await readdir(folder)).filter((name) => name.endsWith(".safetensors"));
    expect(parts.length).toBeGreaterThan(2);
    expect(parts[0]).toMatch(/^model-00001-of-0000\d\.safetensors$/);
    const model = await openModel(folder);
    const error = { F32: 0, F16: 2 ** -11, BF16: 2 ** -8 }[dtype];
    for (const { name } of parametersOf(config)) {
      const [got, want] = [await model.readParameter(name), read(name)];
      // Half-precision numbers below 2^-14 have fewer digits.
      expect(got.every((x, i) => Math.abs(x - want[i]) <= Math.abs(want[i]) * error + (error && 2 ** -25))).toBe(true);
    }
    await model.close();
    await writeModel(folder, config, read);
    expect(await readdir(folder)).not.toContain("model.safetensors.index.json");
  });

  it.each([
    ["no map", () => ({}), /no weight_map/],
    [
      "a path",
      (map: object) => ({ weight_map: { ...map, x: "../model.safetensors" } }),
      /not a weight file of this folder/,
    ],
    ["a missing part", (map: object) => ({ weight_map: { ...map, x: "model-9.safetensors" } }), /model-9.*is missing/],
    [
      "a file left out",
      (map: Record<string, string>) => {
        const file = map["transformer.wpe.weight"];
        return { weight_map: Object.fromEntries(Object.entries(map).filter(([, held]) => held !== file)) };
      },
      /no weights for transformer\.wpe/,
    ],
  ])("are refused with %s", async (_, change, message) => {
    const folder = await mkdtemp(join(root, "index-"));
    await writeModel(folder, config, read, { shardBytes: 2000 });
    const path = join(folder, "model.safetensors.index.json");
    const { weight_map } = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify(change(weight_map)));
    await expect(openModel(folder)).rejects.toThrow(message);
  });
});

describe("a hub", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  let server: Server;
  let base: string;
  let requests: { path: string; token: string | undefined }[];
  let files: Map<string, Buffer>;
  let change: { status?: number; cut?: boolean; sha256?: string; endless?: "list" | "file" };
  let cache: string;

  const answer = (request: IncomingMessage): { status: number; body: Buffer | string | null; location?: string } => {
    const path = (request.url ?? "").replace(/\?.*/, "");
    requests.push({ path, token: request.headers.authorization });
    if (change.status !== undefined) return { status: change.status, body: "" };
    if (path === "/api/models/some/model/revision/main") {
      if (change.endless === "list") return { status: 200, body: null };
      const siblings = [...files].map(([rfilename, data]) => {
        const sha256 = change.sha256 ?? createHash("sha256").update(data).digest("hex");
        return { rfilename, size: data.length, ...(rfilename.endsWith(".safetensors") && { lfs: { sha256 } }) };
      });
      return { status: 200, body: JSON.stringify({ sha: commit, siblings }) };
    }
    const name = path.replace(`/some/model/resolve/${commit}/`, "");
    // Large files are on another host.
    if (name.endsWith(".safetensors") && !path.startsWith("/far/"))
      return { status: 302, body: "", location: `/far/${name}` };
    const data = files.get(name.replace("/far/", ""));
    if (data === undefined) return { status: 404, body: "" };
    if (change.endless === "file") return { status: 200, body: null };
    return { status: 200, body: change.cut ? data.subarray(0, data.length / 2) : data };
  };

  beforeAll(async () => {
    server = createServer((request, response) => {
      const { status, body, location } = answer(request);
      response.writeHead(status, location ? { location } : {});
      if (body !== null) return void response.end(body);
      // Endless, until the client disconnects.
      const piece = Buffer.alloc(1 << 20, "[");
      // Node 24 reports the lost connection before it destroys the response.
      const more = (error?: Error | null) => void (error || response.destroyed || response.write(piece, more));
      more();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    const folder = await mkdtemp(join(root, "published-"));
    await writeModel(folder, config, read, { shardBytes: 2000 });
    files = new Map();
    for (const name of await readdir(folder)) files.set(name, await readFile(join(folder, name)));
    files.set("pytorch_model.bin", Buffer.from("not wanted"));
    files.set("onnx/model.safetensors", Buffer.from("not wanted"));
    requests = [];
    change = {};
    cache = await mkdtemp(join(root, "cache-"));
  });
  const environment = () => ({ HF_ENDPOINT: `${base}/`, HF_TOKEN: "secret" });

  it("downloads a model once", async () => {
    const progress: number[] = [];
    const options = {
      cache,
      environment: environment(),
      onProgress: ({ done }: { done: number }) => progress.push(done),
    };
    const model = await openModel("hf://some/model", options);
    for (const { name } of parametersOf(config)) expect(await model.readParameter(name)).toEqual(read(name));
    expect(model.config).toEqual(config);
    await model.close();
    const wanted = [...files].filter(([name]) => !/bin$|onnx/.test(name));
    expect((await readdir(model.path)).sort()).toEqual(wanted.map(([name]) => name).sort());
    expect(progress.at(-1)).toBe(wanted.reduce((total, [, data]) => total + data.length, 0));
    expect(requests.every(({ token }) => token === "Bearer secret")).toBe(true);

    const before = requests.length;
    expect(await fetchHubModel("hf://some/model", options)).toBe(model.path);
    expect(requests.length).toBe(before + 1); // only resolves main
    expect(await fetchHubModel(`hf://some/model@${commit}`, options)).toBe(model.path);
    expect(requests.length).toBe(before + 1);
    // Without a hub, main resolves to its last known commit.
    const away = { cache, environment: { HF_ENDPOINT: "http://127.0.0.1:9" } };
    expect(await fetchHubModel("hf://some/model", away)).toBe(model.path);
    await expect(fetchHubModel("hf://other/model", away)).rejects.toThrow(/does not answer/);
  });

  it("downloads a GGUF file by name, next to the folder of the same commit", async () => {
    files.set("q8/tiny.gguf", ggufBytes(tinyLlama()));
    const options = { cache, environment: environment() };
    const whole = await fetchHubModel("hf://some/model", options);
    for (const address of ["hf://some/model/q8/tiny.gguf", `hf://some/model@${commit}/q8/tiny.gguf`]) {
      const model = await openModel(address, options);
      expect(model.config.family).toBe("llama");
      expect(model.path.startsWith(join(whole, "/"))).toBe(false);
      await model.close();
    }
    expect(await fetchHubModel("hf://some/model", options)).toBe(whole);
    await expect(fetchHubModel("hf://some/model/q4.gguf", options)).rejects.toThrow(
      "hf://some/model/q4.gguf is not in the repository; it has GGUF files, such as hf://some/model/q8/tiny.gguf",
    );
    files.delete("config.json");
    await expect(fetchHubModel("hf://some/model", { ...options, cache: join(cache, "2") })).rejects.toThrow(
      /safetensors weights; it has GGUF files, such as hf:\/\/some\/model\/q8\/tiny\.gguf/,
    );
  });

  it.each([
    [{ status: 404 }, /answers 404; there is no such model/],
    [{ status: 403 }, /HF_TOKEN/],
    [{ status: 503 }, /answers 503; try again/],
    [{ endless: "list" }, /list of files is too long/],
    [{ endless: "file" }, /is larger than \d+ bytes/],
    [{ cut: true }, /ended after \d+ of \d+ bytes/],
    [{ sha256: "0".repeat(64) }, /checksum/],
  ])("that answers with %j leaves nothing behind", async (changed, message) => {
    change = changed as typeof change;
    await expect(fetchHubModel("hf://some/model", { cache, environment: environment() })).rejects.toThrow(message);
    const left = await readdir(cache, { recursive: true });
    expect(left.filter((name) => name.includes("json") || name.includes("safetensors"))).toEqual([]);
  });

  it.each(["hf://model", "hf://a/b/c", "hf://a/b/../c.gguf", "hf://../x", "hf://a/b@../c", "hf://a/b@"])(
    "refuses %s",
    async (address) => {
      await expect(fetchHubModel(address, { cache, environment: environment() })).rejects.toThrow(
        /is not a valid address/,
      );
    },
  );
});
