/**
 * @file Jinja2 templates as Python's jinja2 3.1 renders them in its immutable sandbox: chat templates as transformers sets
 * it up, and plain ones. What is not known here is refused, with its line; nothing is rendered in another way.
 *
 * Left out, and refused: template inheritance and inclusion, autoescape, `self`, and the filters pprint, random, urlize, wordwrap.
 */
import { compile } from "./compiler.js";
import { parse } from "./parser.js";
import { placed, Runtime, type TextSpan } from "./runtime.js";
import { fromJavaScript, type UndefinedKind, type Value } from "./values.js";

export { TemplateFailure } from "./failure.js";
export type { TextSpan } from "./runtime.js";

export interface TemplateOptions {
  /** Drop the line break right after a block; false by default, as in Jinja2. */
  readonly trimBlocks?: boolean;
  /** Drop the white space before a block that begins its line; false by default. */
  readonly lstripBlocks?: boolean;
  /** Keep a line break at the template's end; false by default. */
  readonly keepTrailingNewline?: boolean;
  /** Jinja2's Undefined, StrictUndefined or ChainableUndefined. */
  readonly undefined?: UndefinedKind;
  /** The tags `break` and `continue`; false by default. */
  readonly loopControls?: boolean;
  /** What transformers adds for chats: `generation`, its `tojson`, `raise_exception`, `strftime_now`; false by default. */
  readonly chat?: boolean;
  /** The time that `strftime_now` shows. */
  readonly now?: () => Date;
}

/** transformers' environment of chat templates. */
export const CHAT_TEMPLATE: TemplateOptions = { trimBlocks: true, lstripBlocks: true, loopControls: true, chat: true };

export interface Rendering {
  readonly text: string;
  /** What the template marks by `{% generation %}`, in UTF-16 units. */
  readonly generated: readonly TextSpan[];
  /** False if a generation block is within a macro or another text made aside, so that its place is not known. */
  readonly isTraceable: boolean;
}

export interface Template {
  /**
   * Renders with variables that JSON could hold. A number that is an integer is an int, though JSON may have had 2.0.
   * @throws TemplateFailure with the template's line
   */
  render(variables: Readonly<Record<string, unknown>>): Rendering;
}

/** @throws TemplateFailure with its line for what is no template, or has a construct that is not known */
export function compileTemplate(source: string, options: TemplateOptions = {}): Template {
  const {
    trimBlocks = false,
    lstripBlocks = false,
    keepTrailingNewline = false,
    loopControls = false,
    chat = false,
  } = options;
  let run: (rt: Runtime) => void;
  try {
    run = compile(parse(source, { trimBlocks, lstripBlocks, keepTrailingNewline, loopControls, generation: chat }));
  } catch (error) {
    throw placed(error, 1);
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
        });
        run(rt);
        return { text: rt.out, generated: rt.generated, isTraceable: !rt.misplaced };
      } catch (error) {
        line = rt?.line ?? 1;
        throw placed(error, line);
      }
    },
  };
}
