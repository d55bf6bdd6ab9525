/**
 * @file Finds tasks, groups and tags in folders of task files, and builds what `--tasks` names. Names follow lm-eval: files
 * in the order of their paths, the first of equal names in a folder wins, a later folder overrides an earlier one, and all
 * override Quern's built-in tasks.
 */
import { readdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { QuernError } from "../../errors.js";
import { nearest } from "../../options.js";
import { quoted } from "../../printable.js";
import { builtInEntries } from "./built-in/index.js";
import { yamlFilesUnder } from "./folder-state.js";
import { keysOfClass } from "./functions/task-classes.js";
import { globPattern } from "./glob-pattern.js";
import { type EntryKind, type ListedGroup, type ListedLine, type ListedTag, parsedLines } from "./listed-lines.js";
import { FunctionReference, isMapping, lineOfKey, type YamlMapping, type YamlValue } from "./python-yaml.js";
import {
  type ConfigFault,
  faultsOfGroup,
  faultsOfTask,
  GROUP_KEYS,
  type TaskConfig,
  taskConfigOf,
} from "./task-config.js";
import { type Place, type TaskFile, TaskFileReader } from "./task-files.js";
import { isTaskModule, loadTaskModule, type TypedEntry } from "./typed/task-module.js";

export interface RegistryEntry {
  readonly name: string;
  readonly kind: EntryKind;
  /** Of its file; null for a tag. */
  readonly path: string | null;
  /** Undefined if it was not read yet. */
  readonly file?: TaskFile;
  /** Tasks that carry the tag. */
  readonly members: readonly string[];
}

/** What the task files of a folder define. */
export interface FolderIndex {
  /** Number of YAML files. */
  readonly files: number;
  /** Sorted by name. */
  readonly lines: readonly ListedLine[];
  readonly broken: readonly BrokenFile[];
}

/** A task with its origin. */
export interface LoadedTask {
  readonly name: string;
  readonly config: TaskConfig;
  /** Whether a Python class defines it that Quern does not have. */
  readonly isPython: boolean;
  /** Texts whose log-likelihood after the prompt is also requested; SQuAD 2.0 has one, for questions without an answer. */
  readonly continuations: readonly string[];
  /** Its file; the group's file for a task written within a group. */
  readonly file: string;
  /** Of every top-level key; those that a group overrides are at the group. */
  readonly places: ReadonlyMap<string, Place>;
}

export interface AggregateMetric {
  readonly metric: string;
  /** Null: every filter that the tasks have. */
  readonly filters: readonly string[] | null;
  readonly weightBySize: boolean;
}

export interface TaskGroup {
  readonly name: string;
  readonly alias: string | null;
  readonly children: readonly (LoadedTask | TaskGroup)[];
  readonly aggregates: readonly AggregateMetric[];
  readonly metadata: YamlMapping;
  readonly isGroup: true;
}

/** What `--tasks` names: its tasks by name, and every group within. */
export interface TaskSelection {
  readonly tasks: ReadonlyMap<string, LoadedTask>;
  readonly groups: ReadonlyMap<string, TaskGroup>;
}

/** A file that is no task, group or template. */
export interface BrokenFile {
  readonly path: string;
  readonly message: string;
}

export class TaskRegistry {
  readonly #entries = new Map<string, RegistryEntry>();
  readonly #reader = new TaskFileReader();
  readonly #folders = new Set<string>();
  readonly broken: BrokenFile[] = [];
  /** Number of YAML files read. */
  files = 0;

  /** @param given.builtIn whether it has the built-in tasks. Default true */
  constructor(given: { readonly builtIn?: boolean } = {}) {
    if (given.builtIn ?? true) this.#addTyped(builtInEntries());
  }

  #addTyped(entries: readonly TypedEntry[]): void {
    for (const entry of entries) this.#entries.set(entry.name, { ...entry, path: entry.file.path, members: [] });
    for (const { name, file } of entries) {
      for (const tag of (file.keys.tag ?? []) as readonly string[]) {
        const entry = this.#entries.get(tag);
        const members = entry?.kind === "tag" ? new Set([...entry.members, name]) : [name];
        if (entry === undefined || entry.kind === "tag")
          this.#entries.set(tag, { name: tag, kind: "tag", path: null, members: [...members] });
      }
    }
  }

  /** Adds all task files under a folder. */
  addFolder(folder: string): void {
    const root = resolve(folder);
    if (this.#folders.has(root)) return;
    this.#folders.add(root);
    const found = new Map<string, RegistryEntry & { members: string[] }>();
    for (const path of yamlFilesUnder(root)) {
      this.files++;
      try {
        const file = this.#reader.read(path);
        const kind = kindOf(file.keys);
        // A template, which others include.
        if (kind === undefined) continue;
        const name = file.keys[kind === "group" ? "group" : "task"];
        if (typeof name !== "string" || found.has(name)) continue;
        found.set(name, { name, kind, path, file, members: [] });
        if (kind === "group") continue;
        for (const tag of [file.keys.tag ?? []].flat()) {
          if (typeof tag !== "string" || tag === "") continue;
          const entry = found.get(tag);
          if (entry === undefined) found.set(tag, { name: tag, kind: "tag", path: null, members: [name] });
          else if (!entry.members.includes(name)) entry.members.push(name);
        }
      } catch (error) {
        if (!(error instanceof QuernError)) throw error;
        this.broken.push({ path, message: error.message });
      }
    }
    for (const [name, entry] of found) this.#entries.set(name, entry);
  }

  /** Adds what a folder defines without reading it; files are read when a task is built. */
  addIndex(folder: string, index: FolderIndex): void {
    this.#folders.add(resolve(folder));
    this.files += index.files;
    this.broken.push(...index.broken);
    const parsed = parsedLines<ListedGroup | ListedTag>(index.lines);
    index.lines.forEach(({ name, kind }, i) => {
      const line = parsed[i]!;
      const [path, members] = "file" in line ? [line.file, []] : [null, line.tasks];
      this.#entries.set(name, { name, kind, path, members });
    });
  }

  /** The files that were included so far, and those of them that could not be read. */
  includes(): { readonly included: readonly string[]; readonly unreadable: readonly string[] } {
    return { included: [...this.#reader.included], unreadable: [...this.#reader.unreadable] };
  }

  /** All tasks, groups and tags, sorted by name. */
  entries(): RegistryEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  get(name: string): RegistryEntry | undefined {
    return this.#entries.get(name);
  }

  /**
   * Builds what the names stand for: tasks, groups, tags, patterns (`mmlu_*`), files, or a folder of YAML files.
   * @throws QuernError if a name is unknown or a file has faults
   */
  select(names: readonly string[]): TaskSelection {
    const tasks = new Map<string, LoadedTask>();
    const groups = new Map<string, TaskGroup>();
    const collect = (item: LoadedTask | TaskGroup): void => {
      if (!("isGroup" in item)) tasks.set(item.name, item);
      else {
        groups.set(item.name, item);
        for (const child of item.children) collect(child);
      }
    };
    for (const name of names) for (const item of this.#named(name)) collect(item);
    return { tasks, groups };
  }

  /**
   * Builds the task or group of a file; of a TypeScript file with several, the last, as its group is.
   * @throws QuernError with file and line if it has faults
   */
  load(path: string): LoadedTask | TaskGroup {
    return isTaskModule(path) ? this.#fromModule(path).at(-1)! : this.#fromFile(path);
  }

  /** Whether a file names neither a task nor a group, so that only others can include it. */
  isTemplate(path: string): boolean {
    return !isTaskModule(path) && kindOf(this.#reader.read(path).keys) === undefined;
  }

  #named(name: string): (LoadedTask | TaskGroup)[] {
    if (name.endsWith(".yaml") && !this.#entries.has(name)) return [this.#fromFile(resolve(name))];
    const entry = this.#entries.get(name);
    if (entry !== undefined) return this.#build(entry, {});
    if (isTaskModule(name)) return this.#fromModule(name);
    if (/[*?[]/.test(name)) {
      const pattern = globPattern(name);
      const matches = this.entries().filter((each) => pattern.test(each.name));
      if (matches.length > 0) return matches.flatMap((each) => this.#build(each, {}));
    }
    const files = yamlFilesIn(name);
    if (files.length > 0) {
      const read = files.map((path) => this.#reader.read(resolve(path)));
      return read.filter(({ keys }) => kindOf(keys) !== undefined).map((file) => this.#fromFile(file.path));
    }
    throw this.#unknown(name);
  }

  #unknown(name: string, within = ""): QuernError {
    const near = nearest(name, [...this.#entries.keys()]);
    const hint = near === undefined ? "; give the folder of the task files with --include" : `; did you mean ${near}?`;
    return new QuernError(`there is no task, group or tag ${quoted(name)}${within}${hint}`, { exitCode: 2 });
  }

  /** The tasks of a group count as part of the group only. */
  #fromModule(path: string): (LoadedTask | TaskGroup)[] {
    const entries = loadTaskModule(path);
    if (entries.length === 0) throw new QuernError(`the task file ${path} exports an empty list`, { exitCode: 2 });
    this.#addTyped(entries);
    const inGroups = new Set(
      entries.flatMap(({ file }) => (file.keys.group === undefined ? [] : [file.keys.task]).flat()),
    );
    return entries
      .filter(({ name }) => !inGroups.has(name))
      .flatMap(({ name }) => this.#build(this.#entries.get(name)!, {}));
  }

  #fromFile(path: string): LoadedTask | TaskGroup {
    const file = this.#reader.read(path);
    const kind = kindOf(file.keys);
    if (kind === undefined) {
      throw new QuernError(`${path} names no task and no group; add the key task, or include it in a task file`);
    }
    const name = String(file.keys[kind === "group" ? "group" : "task"]);
    if (kind !== "group") return this.#task(name, file, {});
    // Its tasks are usually beside it.
    if ([file.keys.task ?? []].flat().some((item) => typeof item === "string" && !this.#entries.has(item))) {
      this.addFolder(dirname(path));
    }
    return this.#group(name, file.keys, file, {});
  }

  #build(entry: RegistryEntry, overrides: Overrides): (LoadedTask | TaskGroup)[] {
    if (entry.kind === "tag") {
      const members = [...entry.members].sort();
      return members.flatMap((name) => this.#build(this.#entries.get(name)!, { task: { value: name }, ...overrides }));
    }
    const file = entry.file ?? this.#reader.read(entry.path!);
    this.#entries.set(entry.name, { ...entry, file });
    if (entry.kind === "group") return [this.#group(entry.name, file.keys, file, overrides)];
    return [this.#task(entry.name, file, overrides)];
  }

  #task(name: string, file: TaskFile, overrides: Overrides): LoadedTask {
    const places = new Map(file.places);
    const keys: Record<string, YamlValue> = { ...file.keys };
    for (const [key, { value, place }] of Object.entries(overrides)) {
      keys[key] = value;
      if (place !== undefined) places.set(key, place);
    }
    return loaded(String(keys.task ?? name), keys, file.path, places);
  }

  #group(name: string, keys: YamlMapping, file: TaskFile, given: Overrides): TaskGroup {
    refuseFaults(faultsOfGroup(keys), keys, file.path, file.places);
    const overrides: Record<string, Overrides[string]> = {};
    for (const [key, value] of Object.entries(keys)) {
      if (!GROUP_KEYS.includes(key)) overrides[key] = { value, place: placeIn(keys, key, file) };
    }
    Object.assign(overrides, given);
    const children = new Map<string, LoadedTask | TaskGroup>();
    for (const item of [keys.task ?? []].flat() as readonly YamlValue[]) {
      for (const child of this.#member(item, name, file, overrides)) children.set(child.name, child);
    }
    return {
      name,
      alias: typeof keys.group_alias === "string" ? keys.group_alias : null,
      children: [...children.values()],
      aggregates: aggregatesOf(keys.aggregate_metric_list ?? null),
      metadata: isMapping(keys.metadata) ? keys.metadata : {},
      isGroup: true,
    };
  }

  #member(item: YamlValue, group: string, file: TaskFile, overrides: Overrides): (LoadedTask | TaskGroup)[] {
    if (typeof item === "string") {
      const entry = this.#entries.get(item);
      // A name alone has no data: lm-eval would fail too.
      if (entry === undefined) throw this.#unknown(item, ` in the group ${group} (${file.path})`);
      return this.#build(entry, entry.kind === "task" ? { task: { value: item }, ...overrides } : overrides);
    }
    if (!isMapping(item)) throw new QuernError(`${file.path}: the group ${group} holds something that is no task`);
    const own: Record<string, Overrides[string]> = {};
    for (const [key, value] of Object.entries(item)) own[key] = { value, place: placeIn(item, key, file) };
    if (typeof item.group === "string") {
      const entry = this.#entries.get(item.group);
      if (entry === undefined) return [this.#group(`${group}::${item.group}`, item, file, overrides)];
      const { group: _, task: __, aggregate_metric_list: ___, group_alias: ____, ...others } = own;
      return this.#build(entry, { ...overrides, ...others });
    }
    if (typeof item.task !== "string") {
      throw new QuernError(`${file.path}: an entry of the group ${group} has neither task nor group`);
    }
    const entry = this.#entries.get(item.task);
    if (entry !== undefined) return this.#build(entry, { ...overrides, ...own });
    const keys: Record<string, YamlValue> = {};
    const places = new Map<string, Place>();
    const task = { value: `${group}::${item.task}`, place: own.task?.place };
    for (const [key, { value, place }] of Object.entries({ ...overrides, ...own, task })) {
      keys[key] = value;
      if (place !== undefined) places.set(key, place);
    }
    return [loaded(task.value, keys, file.path, places)];
  }
}

/** Keys that a group sets for its tasks, with their places. */
type Overrides = Readonly<Record<string, { readonly value: YamlValue; readonly place?: Place }>>;

function placeIn(keys: YamlMapping, key: string, file: TaskFile): Place {
  const known = keys === file.keys ? file.places.get(key) : undefined;
  return known ?? { file: file.path, line: lineOfKey(keys, key) ?? 1 };
}

function loaded(name: string, keys: YamlMapping, file: string, places: ReadonlyMap<string, Place>): LoadedTask {
  const known = keys.class instanceof FunctionReference ? keysOfClass(keys.class) : undefined;
  const isPython = keys.class !== undefined && known === undefined;
  if (keys.class === undefined) refuseFaults(faultsOfTask(keys), keys, file, places);
  const config = taskConfigOf({ ...(known?.keys ?? keys), task: name });
  return { name, config, isPython, continuations: known?.continuations ?? [], file, places };
}

/** Returns the faults as sentences with file and line. */
export function faultLines(
  faults: readonly ConfigFault[],
  file: string,
  places: ReadonlyMap<string, Place>,
): readonly string[] {
  return faults.map(({ key, message, within, nestedKey }) => {
    const place = places.get(key) ?? { file, line: 1 };
    const line = within === undefined || nestedKey === undefined ? undefined : lineOfKey(within, nestedKey);
    return `${place.file} line ${line ?? place.line}: ${message}`;
  });
}

function refuseFaults(
  faults: readonly ConfigFault[],
  keys: YamlMapping,
  file: string,
  places: ReadonlyMap<string, Place>,
): void {
  if (faults.length === 0) return;
  const known = places.size > 0 ? places : new Map(Object.keys(keys).map((key) => [key, { file, line: 1 }]));
  throw new QuernError(faultLines(faults, file, known).join("; "));
}

function aggregatesOf(list: YamlValue): readonly AggregateMetric[] {
  return (list === null ? [] : Array.isArray(list) ? (list as readonly YamlMapping[]) : [list as YamlMapping]).map(
    (entry) => ({
      metric: String(entry.metric),
      filters:
        entry.filter_list === undefined || entry.filter_list === null ? null : [entry.filter_list].flat().map(String),
      weightBySize: entry.weight_by_size !== false,
    }),
  );
}

function kindOf(keys: YamlMapping): "task" | "python" | "group" | undefined {
  if (keys.class !== undefined) return "python";
  if (keys.group !== undefined) return "group";
  return keys.task === undefined ? undefined : "task";
}

/** Returns the `*.yaml` directly in a folder; none if it is no folder. */
function yamlFilesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
    return names.sort().map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}
