/**
 * @file Renders Jinja2 templates as jinja2 3.1 does in its immutable sandbox: chat templates with transformers' settings,
 * and plain ones. An unsupported construct fails with its line and is never rendered differently.
 *
 * Not supported: template inheritance and inclusion, autoescape, `self`, and the filters pprint, random, urlize, wordwrap.
 */
import { compile } from "./compiler.js";
import { type TextFilter, textOperation } from "./filters.js";
import { parse } from "./parser.js";
import { Runtime, type TextSpan, withLine } from "./runtime.js";
import { fromJavaScript, str, type UndefinedKind, type Value } from "./values.js";

export { TemplateFailure } from "./failure.js";
export type { TextFilter } from "./filters.js";
export type { TextSpan } from "./runtime.js";
export { PythonFloat } from "./values.js";

export interface TemplateOptions {
  /** Drop the line break right after a block; default false, as in Jinja2. */
  readonly trimBlocks?: boolean;
  /** Drop the white space before a block at the start of a line; default false. */
  readonly lstripBlocks?: boolean;
  /** Keep a line break at the template's end; default false. */
  readonly keepTrailingNewline?: boolean;
  /** Jinja2's Undefined, StrictUndefined or ChainableUndefined. */
  readonly undefined?: UndefinedKind;
  /** Enables the tags `break` and `continue`; default false. */
  readonly loopControls?: boolean;
  /** Further filters, by name. */
  readonly filters?: Readonly<Record<string, TextFilter>>;
  /** Enables transformers' additions: `generation`, its `tojson`, `raise_exception`, `strftime_now`; default false. */
  readonly chat?: boolean;
  /** The time used by `strftime_now`. */
  readonly now?: () => Date;
}

/** transformers' environment for chat templates. */
export const CHAT_TEMPLATE: TemplateOptions = { trimBlocks: true, lstripBlocks: true, loopControls: true, chat: true };

export interface Rendering {
  readonly text: string;
  /** Spans that the template marks with `{% generation %}`, in UTF-16 units. */
  readonly generated: readonly TextSpan[];
  /** False if a generation block is within a macro or another captured text, so its place in the output is unknown. */
  readonly isTraceable: boolean;
}

export interface Template {
  /**
   * Renders with JSON-compatible variables. An integral number is a Python int, even if the JSON had 2.0.
   * @throws TemplateFailure with the template's line
   */
  render(variables: Readonly<Record<string, unknown>>): Rendering;
}

/** @throws TemplateFailure with its line for a syntax error or an unsupported construct */
export function compileTemplate(source: string, options: TemplateOptions = {}): Template {
  const {
    trimBlocks = false,
    lstripBlocks = false,
    keepTrailingNewline = false,
    loopControls = false,
    chat = false,
  } = options;
  const filters = new Map(
    Object.entries(options.filters ?? {}).map(([name, filter]) => [name, textOperation(name, filter)] as const),
  );
  let run: (rt: Runtime) => void;
  try {
    const parsed = parse(source, { trimBlocks, lstripBlocks, keepTrailingNewline, loopControls, generation: chat });
    run = compile(parsed, new Set(filters.keys()));
  } catch (error) {
    throw withLine(error, 1);
  }
  return {
    render(variables) {
      let line = 1;
      let rt: Runtime | undefined;
      try {
        const given = new Map(
          Object.entries(variables)
            .filter(([, value]) => value !== undefined)
            .map(([name, value]): [string, Value] => [name, fromJavaScript(value)]),
        );
        rt = new Runtime(given, {
          undefinedKind: options.undefined ?? "default",
          chat,
          now: options.now ?? (() => new Date()),
          filters,
        });
        run(rt);
        return { text: rt.out, generated: rt.generated, isTraceable: !rt.misplaced };
      } catch (error) {
        line = rt?.line ?? 1;
        throw withLine(error, line);
      }
    },
  };
}

/** Returns a JavaScript value as Python's `str` prints it, such as `['a', None]`. */
export function pythonText(value: unknown): string {
  return str(fromJavaScript(value));
}
