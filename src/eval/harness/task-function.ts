/** @file What a Python function of a task file is in TypeScript. */

/** A row of a data set. Integral floats are `PythonFloat`. */
export type TaskDocument = Readonly<Record<string, unknown>>;

/** A function of a task file, by what lm-eval calls it with. */
export type TaskFunction =
  | { readonly takes: "documents"; readonly run: (documents: readonly TaskDocument[]) => readonly TaskDocument[] }
  | { readonly takes: "document"; readonly run: (document: TaskDocument) => unknown }
  | { readonly takes: "nothing"; readonly run: () => unknown };

/** By `folder/module.function`, such as `hellaswag/utils.process_docs`. */
export type FunctionTable = ReadonlyMap<string, TaskFunction>;
