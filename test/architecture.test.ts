import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const src = join(root, "src");

/** The stages in the order in which data flows: each may import those to its left. */
const STAGES = [
  "pages",
  "documents",
  "executors",
  "tokenizer",
  "infer",
  "data",
  "train",
  "align",
  "eval",
  "scale",
  "serve",
];
/** What a stage computes with. */
const ENGINE_FACES = ["model", "tensor", "backends"];
/** The rooms that are no stages, and the rooms that each may import. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  compiler: ["tensor"],
  backends: ["compiler", "tensor"],
  model: ["tensor", "documents"],
  web: [...STAGES, "model"],
  commands: [...STAGES, ...ENGINE_FACES, "web"],
};
/**
 * The rooms of `data`, each of which may import those before it; a file that is named is a room of its own. What lies beside the
 * rooms (`tasks.ts`, `lines.ts`) is for all of them.
 */
const DATA_ROOMS = [
  ...["text", "languages", "filters", "normalize", "personal-data", "extract", "classifier", "quality"],
  ...["crawl", "deduplicate", "decontaminate", "recipes", "funnel", "clean", "decontaminate/decontaminate.ts"],
  ...["mix", "shards", "corpus", "compare"],
];
const FORBIDDEN = /^(utils?|helpers?|common|misc|shared|lib)$/;

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /(?<!\.d)\.tsx?$/.test(entry.name))
  .map((entry) => relative(src, join(entry.parentPath, entry.name)).split(sep).join("/"));

const imports: Import[] = files.flatMap((from) =>
  specifiers(readFileSync(join(src, from), "utf8"))
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => ({
      from,
      to: sourceOf(join(dirname(from), specifier).split(sep).join("/")),
    })),
);

/** The source of a module that is imported by its name after the build. */
function sourceOf(path: string): string {
  const source = path.replace(/\.js$/, ".ts");
  return files.includes(`${source}x`) ? `${source}x` : source;
}

/** What a source file imports, statically, lazily or only as types; comments are none. */
function specifiers(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)"([^"]+)"/g;
  return [...code.matchAll(pattern)].map((match) => match[1]);
}

/** The folder under src that a file lies in; "" for the few files that every room may use. */
const roomOf = (file: string) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");

function mayImport(from: string, to: string): boolean {
  if (from === to || to === "") return true;
  const stage = STAGES.indexOf(from);
  if (stage >= 0) return STAGES.slice(0, stage).includes(to) || ENGINE_FACES.includes(to);
  return ROOMS[from]?.includes(to) ?? false;
}

describe("the house", () => {
  it("has only the rooms of the design, none of them a lumber room", () => {
    const rooms = new Set(files.map(roomOf).filter((room) => room !== ""));
    expect([...rooms].filter((room) => !STAGES.includes(room) && !(room in ROOMS))).toEqual([]);
    const folders = files.flatMap((file) => file.split("/").slice(0, -1));
    expect(folders.filter((folder) => FORBIDDEN.test(folder))).toEqual([]);
  });

  it("lets each room import only what lies below it", () => {
    const broken = imports.filter(({ from, to }) => {
      // cli.ts is the door: it may open every room, and nothing else at the top may.
      if (from === "cli.ts") return false;
      return !(roomOf(from) === "" ? roomOf(to) === "" : mayImport(roomOf(from), roomOf(to)));
    });
    expect(broken).toEqual([]);
  });

  it("lets each room of data import only those before it", () => {
    const placeOf = (file: string) => {
      const inside = file.replace(/^data\//, "");
      return DATA_ROOMS.includes(inside) ? DATA_ROOMS.indexOf(inside) : DATA_ROOMS.indexOf(inside.split("/")[0]);
    };
    const inRoom = (file: string) => /^data\/.+\//.test(file);
    const inside = imports.filter(({ from, to }) => inRoom(from) && to.startsWith("data/"));
    expect(inside.filter(({ from }) => placeOf(from) < 0)).toEqual([]);
    expect(inside.filter(({ from, to }) => inRoom(to) && placeOf(to) > placeOf(from))).toEqual([]);
    // What is for all rooms knows none of them, and no room enters by the stage's own door.
    expect(imports.filter(({ from, to }) => /^data\/(?!index)[^/]+$/.test(from) && inRoom(to))).toEqual([]);
    expect(inside.filter(({ to }) => to === "data/index.ts")).toEqual([]);
  });

  it("lets nothing import a command or the command line", () => {
    const broken = imports.filter(
      ({ from, to }) => (roomOf(to) === "commands" && !["commands", ""].includes(roomOf(from))) || to === "cli.ts",
    );
    expect(broken).toEqual([]);
  });

  it("enters another room by its index.ts", () => {
    // A command needs its schema at once, for the help, and the library behind it only to run; of data and eval, where all of
    // the room takes up to half a second to load, the file of its verb will do.
    const opensOneFile = ({ from, to }: Import) =>
      roomOf(from) === "commands" && (to.endsWith("-options.ts") || ["data", "eval"].includes(roomOf(to)));
    const broken = imports.filter(
      ({ from, to }) =>
        roomOf(to) !== "" &&
        roomOf(from) !== roomOf(to) &&
        from !== "cli.ts" &&
        !opensOneFile({ from, to }) &&
        !/^[a-z]+\/index\.ts$/.test(to),
    );
    expect(broken).toEqual([]);
  });

  it("imports only files that are there", () => {
    expect(imports.filter(({ to }) => !files.includes(to))).toEqual([]);
  });

  it("enters the folder of a target by its row alone", () => {
    const broken = imports.filter(({ from, to }) => {
      const target = /^backends\/([^/]+)\//.exec(to)?.[1];
      const row = from === "backends/index.ts" && to === `backends/${target}/index.ts`;
      return target !== undefined && !row && !from.startsWith(`backends/${target}/`);
    });
    expect(broken).toEqual([]);
  });

  it("has no import circles", () => {
    const next = new Map<string, string[]>(files.map((file) => [file, []]));
    for (const { from, to } of imports) next.get(from)?.push(to);
    expect(findCircle(next)).toEqual([]);
  });

  it("keeps file names in kebab-case", () => {
    const names = files.map((file) => file.slice(file.lastIndexOf("/") + 1));
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*\.tsx?$/.test(name))).toEqual([]);
  });
});

describe("the checker itself", () => {
  it("sees every way to import, and no comment", () => {
    const source = [
      'import { a } from "./a.js";',
      'import type { B } from "./b.js";',
      'import "./c.js";',
      'export { d } from "./d.js";',
      'const e = await import("./e.js");',
      '// import { f } from "./f.js";',
      '/* import "./g.js"; */',
      'import {\n  h,\n} from "./h.js";',
    ].join("\n");
    expect(specifiers(source)).toEqual(["./a.js", "./b.js", "./c.js", "./d.js", "./e.js", "./h.js"]);
  });

  it("knows what is wrong", () => {
    expect(mayImport("tokenizer", "documents")).toBe(true);
    expect(mayImport("documents", "tokenizer")).toBe(false);
    expect(mayImport("train", "backends")).toBe(true);
    expect(mayImport("model", "backends")).toBe(false);
    expect(mayImport("tensor", "documents")).toBe(false);
    expect(mayImport("train", "commands")).toBe(false);
    const circle = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["a"]],
    ]);
    expect(findCircle(circle)).toEqual(["a", "b", "c", "a"]);
  });
});

/** The files of one circle, the first twice; none gives an empty list. */
function findCircle(next: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    path.push(file);
    for (const to of next.get(file) ?? []) {
      const circle = visit(to);
      if (circle.length > 0) return circle;
    }
    path.pop();
    done.add(file);
    return [];
  };
  for (const file of next.keys()) {
    const circle = visit(file);
    if (circle.length > 0) return circle;
  }
  return [];
}
