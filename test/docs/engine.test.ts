/** docs/engine.md shows the engine's output for an example; this test regenerates the output and compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { emitProgram } from "../../src/backends/cpu/emit.js";
import { instructionSet } from "../../src/backends/cpu/instruction-sets.js";
import { compileGraph, explain } from "../../src/compiler/index.js";
import { nodesOf } from "../../src/tensor/index.js";
import { entries } from "./engine-example.js";

const page = new URL("../../docs/engine.md", import.meta.url);

/** The graph, one node per line. */
function graph(): string {
  const nodes = nodesOf(entries.step);
  const number = new Map(nodes.map((node, i) => [node, i]));
  return nodes
    .map((node, i) => {
      const inputs = node.inputs.map((input) => `%${number.get(input.node)}`).join(", ");
      const { name, value } = node.attributes as { readonly name?: string; readonly value?: number };
      const what = name === undefined ? (value === undefined ? inputs : String(value)) : `"${name}"`;
      return `%${i} = ${node.op}(${what}) → (${node.outputs[0].shape.join(",")})`;
    })
    .join("\n");
}

function kernels(): string {
  const {
    entries: [step],
    arenaBytes,
    unfusedArenaBytes,
  } = explain(entries);
  const line = (name: string, { launches, bytes }: { readonly launches: number; readonly bytes: number }) =>
    `${String(launches).padStart(3)} launches ${String(bytes).padStart(8)} bytes  ${name}`;
  return [
    line("an operation each", step.unfused),
    line("fused:", step.fused),
    ...step.kernels.map((kernel) => line(`  ${kernel.what}`, kernel)),
    `arena: ${unfusedArenaBytes} bytes, fused ${arenaBytes}`,
  ].join("\n");
}

/** The C file's own part, without its templates. */
const file = emitProgram(compileGraph(entries), instructionSet("avx2"), 2).source;
const source = file.slice(file.indexOf("// ---- kernels"));

/** A whole function of the C file whose signature contains a text. */
function cFunction(head: string): string {
  const at = source.indexOf(head);
  if (at < 0) throw new Error(`no function ${head} is emitted`);
  const start = source.lastIndexOf("static void", at);
  return source.slice(start, source.indexOf("\n}\n", start) + 2);
}

/** The function that calls a product whose epilogue contains a text, and that epilogue. */
function epilogueWith(text: string): string {
  const start = source.lastIndexOf("static void", source.indexOf(text));
  const name = /static void (\w+)_epilogue/.exec(source.slice(start, start + 80))?.[1];
  if (name === undefined) throw new Error(`no epilogue holds ${text}`);
  return `${cFunction(`${name}_epilogue(`)}\n${cFunction(`${name}(float`)}`;
}

const blocks: Readonly<Record<string, () => string>> = {
  model: () => {
    const text = readFileSync(new URL("./engine-example.ts", import.meta.url), "utf8");
    return text.slice(text.indexOf("// <page>\n") + 10, text.indexOf("// </page>")).trim();
  },
  graph,
  kernels,
  product: () => epilogueWith("qn_sigmoid"),
  entry: () => cFunction("entry_step("),
};

/** `<!-- NAME -->`, then a fenced block. */
const BLOCK = /(<!-- (\w+) -->\n```\w*\n)([\s\S]*?)(\n```)/g;

describe("docs/engine.md", () => {
  it("shows the engine's current output (UPDATE_DOCS=1 npx vitest run test/docs regenerates it)", () => {
    const text = readFileSync(page, "utf8");
    const made = text.replace(BLOCK, (_whole, head: string, name: string, _old: string, end: string) => {
      return `${head}${blocks[name]()}${end}`;
    });
    expect([...text.matchAll(BLOCK)].map(([, , name]) => name).sort()).toEqual(Object.keys(blocks).sort());
    if (process.env.UPDATE_DOCS) writeFileSync(page, made);
    else expect(text).toBe(made);
  });
});
