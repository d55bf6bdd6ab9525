/**
 * @file Turns documents into text, targets and choices by the rules of a task: Jinja templates, field names, lists, functions.
 * A rule that names a column gives that column's value; any other text is a template (jinja2's StrictUndefined, trailing line
 * breaks kept). Rendered digits become an int if the task has choices; a rendered list becomes a list.
 */
import { QuernError } from "../../errors.js";
import { escapeControls } from "../../printable.js";
import { compileTemplate, type Template, TemplateFailure } from "../../tokenizer/index.js";
import { type FunctionTable, findFunction, requireFunction, type TaskDocument } from "./functions.js";
import { pythonLiteral } from "./python-literal.js";
import { PythonRegex } from "./python-regex.js";
import { typeOf } from "./python-values.js";
import { FunctionReference, isMapping } from "./python-yaml.js";
import type { LoadedTask } from "./registry.js";
import type { Rule } from "./task-config.js";

/** Compiles a template as lm-eval's environment does. */
export function compileTaskTemplate(source: string): Template {
  return compileTemplate(source, {
    undefined: "strict",
    keepTrailingNewline: true,
    filters: {
      regex_replace: (text, pattern = "", replacement = "", count = "0") =>
        new PythonRegex(pattern).sub(replacement, text, Number(count)),
    },
  });
}

/** Applies the rules of one task. */
export class DocumentRules {
  readonly #task: LoadedTask;
  /** Columns of the evaluated documents: a rule that is one of them names a field. */
  readonly #columns: ReadonlySet<string>;
  readonly #functions: FunctionTable | undefined;
  readonly #templates = new Map<string, Template>();

  constructor(task: LoadedTask, columns: ReadonlySet<string>, functions?: FunctionTable) {
    this.#task = task;
    this.#columns = columns;
    this.#functions = functions;
  }

  /** Returns what `doc_to_text` or another rule in its place gives: a text, or an int where each choice is an input. */
  text(document: TaskDocument, given: Rule = null): unknown {
    const rule = given ?? this.#task.config.docToText;
    if (typeof rule !== "string") return this.#other(document, rule, "doc_to_text");
    if (this.#columns.has(rule)) return document[rule];
    const text = this.render(document, rule, "doc_to_text");
    return this.#hasChoices && isDigits(text) ? this.#literal(text, "doc_to_text") : text;
  }

  /** Returns what `doc_to_target` gives: a text, an index of a choice, or a list of either. */
  target(document: TaskDocument, given: Rule = null): unknown {
    const rule = given ?? this.#task.config.docToTarget;
    if (typeof rule !== "string") return this.#other(document, rule, "doc_to_target", true);
    if (this.#columns.has(rule)) return document[rule];
    const text = this.render(document, rule, "doc_to_target");
    if (this.#hasChoices && isDigits(text)) return this.#literal(text, "doc_to_target");
    if (text.length >= 2 && text.startsWith("[") && text.endsWith("]")) {
      try {
        return pythonLiteral(text);
      } catch (error) {
        if (error instanceof QuernError) return text;
        throw error;
      }
    }
    return text;
  }

  /** Returns the choices of a document. */
  choices(document: TaskDocument, given: Rule = null): readonly unknown[] {
    const rule = given ?? this.#task.config.docToChoice;
    let made: unknown;
    if (typeof rule === "string") {
      made = this.#columns.has(rule)
        ? document[rule]
        : this.#literal(this.render(document, rule, "doc_to_choice"), "doc_to_choice");
    } else if (isMapping(rule)) made = Object.values(rule);
    else if (rule instanceof Map) made = [...rule.values()];
    else made = this.#other(document, rule, "doc_to_choice", true);
    if (!Array.isArray(made)) throw this.#fault("doc_to_choice", `it gives ${typeOf(made)}, not a list`);
    return made;
  }

  /** Returns a field of the document, or a rendered template, as `description` and a few-shot `gen_prefix` use them. */
  field(document: TaskDocument, rule: Rule, key: string): unknown {
    if (rule === null || rule === "") return null;
    if (typeof rule !== "string") return this.#other(document, rule, key);
    return Object.hasOwn(document, rule) ? document[rule] : this.render(document, rule, key);
  }

  /** Returns the start of the answer that the prompt gives away; null without one. */
  prefix(document: TaskDocument): unknown {
    const rule = this.#task.config.genPrefix;
    if (rule === null) return null;
    return this.#columns.has(rule) ? document[rule] : this.render(document, rule, "gen_prefix");
  }

  /** @throws QuernError that names the file, the template's line and what failed */
  render(document: TaskDocument, source: string, key: string): string {
    try {
      let template = this.#templates.get(source);
      if (template === undefined) {
        template = compileTaskTemplate(source);
        this.#templates.set(source, template);
      }
      return template.render(document).text;
    } catch (error) {
      if (!(error instanceof TemplateFailure)) throw error;
      throw this.#fault(key, `line ${error.line ?? 1} of the template: ${escapeControls(error.message)}`, error);
    }
  }

  get #hasChoices(): boolean {
    return this.#task.config.docToChoice !== null;
  }

  #other(document: TaskDocument, rule: Rule, key: string, mayBeList = false): unknown {
    if (rule instanceof FunctionReference) {
      const { run } = requireFunction(rule, "document", this.#functions);
      try {
        return run(document);
      } catch (error) {
        if (!(error instanceof QuernError)) throw error;
        throw this.#fault(key, `${rule.name}: ${error.message}`, error);
      }
    }
    if (typeof rule === "number" || (mayBeList && Array.isArray(rule))) return rule;
    throw this.#fault(key, `it is ${typeOf(rule)}, and no document can be rendered by that`);
  }

  #literal(text: string, key: string): unknown {
    try {
      return pythonLiteral(text);
    } catch (error) {
      if (!(error instanceof QuernError)) throw error;
      throw this.#fault(key, error.message, error);
    }
  }

  #fault(key: string, what: string, cause?: unknown): QuernError {
    const place = this.#task.places.get(key);
    const where = place === undefined ? this.#task.file : `${place.file} line ${place.line}`;
    return new QuernError(`${where}: ${key} fails: ${what}`, { cause });
  }
}

/** Python's `text.isdigit()`, of decimal digits. */
function isDigits(text: string): boolean {
  return /^\p{Nd}+$/u.test(text);
}

/** Whether Quern has the function that a rule names; true for other rules. */
export function hasFunction(rule: unknown, table?: FunctionTable): boolean {
  return !(rule instanceof FunctionReference) || findFunction(rule, table) !== undefined;
}
