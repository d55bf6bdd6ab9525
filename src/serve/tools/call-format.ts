/**
 * @file How models write tool calls. Each row says how its chat template is recognised and how a call is written; `call-grammar.ts`
 * makes a constraint of it and `answer-reader.ts` reads it. Sources: the published chat templates of the models named.
 *
 * The calls of an answer are `start`, then calls joined by `separator`, then `end`; a call is `open`, its body, and `close`.
 */
import { FUNCTIONARY, HARMONY, type Sections } from "./sections.js";

interface Frame {
  readonly start: string;
  readonly open: string;
  readonly close: string;
  readonly separator: string;
  readonly end: string;
}

export type CallSyntax =
  /** The body is an object with the name and the arguments, or a list of such objects. Without `open` it is the whole answer. */
  | (Frame & {
      readonly kind: "object";
      readonly isList: boolean;
      readonly nameKey: string;
      readonly argumentsKey: string;
      /** Key of a text that identifies the call, which the template also writes. */
      readonly idKey?: string;
      readonly idPattern?: string;
    })
  /** The body is the name, `nameEnd`, and the arguments as an object. */
  | (Frame & {
      readonly kind: "named";
      readonly nameEnd: string;
      /** Other texts that models write instead of `nameEnd`. */
      readonly otherNameEnds?: readonly string[];
      /** Stands before a number after the name; open, name and number are the id of the call. */
      readonly counter?: string;
      /** What else an answer consists of, if its calls are sections of it. */
      readonly sections?: Sections;
    })
  /** The body is the name, `nameEnd`, and a tagged text for each argument. */
  | (Frame & {
      readonly kind: "tagged";
      readonly nameEnd: string;
      readonly keyOpen: string;
      /** Between a key and its value. If it ends a line, the value has lines of its own. */
      readonly keyClose: string;
      /** The same for a value that is no text, in formats that mark it. */
      readonly jsonKeyClose?: string;
      readonly valueClose: string;
    });

export interface CallFormat {
  readonly name: string;
  /** Whether a template writes calls in this format. */
  readonly detect: (template: string) => boolean;
  readonly syntax: CallSyntax;
  /** Special tokens that end a turn with calls, beside those that end any turn. */
  readonly ends?: readonly string[];
  /** Length of the ids of calls that the template demands: letters and digits. */
  readonly idLength?: number;
  /** Whether a message has one call only, which ends the answer. */
  readonly isSingle?: true;
}

const frame = (open: string, close: string, separator = "", start = "", end = ""): Frame => ({
  start,
  open,
  close,
  separator,
  end,
});
type ObjectSyntax = Extract<CallSyntax, { kind: "object" }>;
const object = (given: Frame, options: Partial<ObjectSyntax> = {}): CallSyntax => ({
  kind: "object",
  isList: false,
  nameKey: "name",
  argumentsKey: "arguments",
  ...given,
  ...options,
});
const has =
  (...texts: readonly string[]) =>
  (template: string) =>
    texts.every((text) => template.includes(text));

const DSML = "｜DSML｜";

/** DeepSeek V3.2 and V4 differ in the name of the list of calls. */
const dsml = (name: string, list: string): CallFormat => ({
  name,
  detect: has(DSML, list, "invoke name="),
  syntax: {
    kind: "tagged",
    ...frame(`<${DSML}invoke name="`, `</${DSML}invoke>\n`, "", `<${DSML}${list}>\n`, `</${DSML}${list}>`),
    nameEnd: '">\n',
    keyOpen: `<${DSML}parameter name="`,
    keyClose: '" string="true">',
    jsonKeyClose: '" string="false">',
    valueClose: `</${DSML}parameter>\n`,
  },
});

/** The first row that fits counts. */
export const CALL_FORMATS: readonly CallFormat[] = [
  {
    name: "harmony", // gpt-oss
    detect: has("<|channel|>", "<|message|>", "<|call|>"),
    syntax: {
      kind: "named",
      ...frame("<|channel|>commentary to=functions.", ""),
      nameEnd: " <|constrain|>json<|message|>",
      otherNameEnds: [
        "<|channel|>commentary <|constrain|>json<|message|>",
        "<|channel|>commentary json<|message|>",
        " json<|message|>",
        "<|message|>",
      ],
      sections: HARMONY,
    },
    ends: ["<|call|>", "<|return|>"],
    isSingle: true,
  },
  {
    name: "functionary-3.2",
    detect: has(">>>all", "recipient"),
    syntax: { kind: "named", ...frame("", "", ">>>"), nameEnd: "\n", sections: FUNCTIONARY },
  },
  {
    name: "kimi-k2",
    detect: has("<|tool_calls_section_begin|>", "<|tool_call_argument_begin|>"),
    syntax: {
      kind: "named",
      ...frame(
        "<|tool_call_begin|>functions.",
        "<|tool_call_end|>",
        "",
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
      ),
      nameEnd: "<|tool_call_argument_begin|>",
      counter: ":",
    },
  },
  dsml("deepseek-v3.2", "function_calls"),
  dsml("deepseek-v4", "tool_calls"),
  {
    name: "minimax-m2",
    detect: has("<minimax:tool_call>", "<invoke name="),
    syntax: {
      kind: "tagged",
      ...frame('<invoke name="', "</invoke>\n", "", "<minimax:tool_call>\n", "</minimax:tool_call>"),
      nameEnd: '">\n',
      keyOpen: '<parameter name="',
      keyClose: '">',
      valueClose: "</parameter>\n",
    },
  },
  {
    name: "minimax-m1",
    detect: has("<tool_calls>", "<args-json-object>"),
    syntax: object(frame("", "", "\n", "<tool_calls>\n", "\n</tool_calls>")),
  },
  {
    name: "seed-oss",
    detect: has("<seed:tool_call>", "<function=", "<parameter="),
    syntax: {
      kind: "tagged",
      ...frame("<seed:tool_call>\n<function=", "</function>\n</seed:tool_call>", "\n"),
      nameEnd: ">\n",
      keyOpen: "<parameter=",
      keyClose: ">",
      valueClose: "</parameter>\n",
    },
  },
  {
    name: "qwen3-coder", // Qwen3-Coder, Qwen3.5, Nemotron 3 Nano, Step 3.5
    detect: has("<tool_call>", "<function=", "<parameter="),
    syntax: {
      kind: "tagged",
      ...frame("<tool_call>\n<function=", "</function>\n</tool_call>", "\n"),
      nameEnd: ">\n",
      keyOpen: "<parameter=",
      keyClose: ">\n",
      valueClose: "\n</parameter>\n",
    },
  },
  {
    name: "glm", // GLM 4.5 to 4.7
    detect: has("<tool_call>", "<arg_key>", "<arg_value>"),
    syntax: {
      kind: "tagged",
      ...frame("<tool_call>", "</tool_call>", "\n"),
      nameEnd: "\n",
      keyOpen: "<arg_key>",
      keyClose: "</arg_key>\n<arg_value>",
      valueClose: "</arg_value>\n",
    },
  },
  {
    name: "functionary-3.1",
    detect: has("<function=", "</function>", "<|python_tag|>"),
    syntax: { kind: "named", ...frame("<function=", "</function>"), nameEnd: ">" },
    ends: ["<|eom_id|>"],
  },
  {
    name: "deepseek-r1", // DeepSeek V3, R1 and its distillations
    detect: has("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "```json"),
    syntax: {
      kind: "named",
      ...frame(
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        "\n```<｜tool▁call▁end｜>",
        "\n",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
      ),
      nameEnd: "\n```json\n",
    },
  },
  {
    name: "deepseek-v3.1",
    detect: has("<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"),
    syntax: {
      kind: "named",
      ...frame("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
      nameEnd: "<｜tool▁sep｜>",
    },
  },
  {
    name: "mistral-named", // Mistral Small 3.2, Devstral, Ministral 3
    detect: has("[TOOL_CALLS]", "[ARGS]"),
    syntax: { kind: "named", ...frame("[TOOL_CALLS]", ""), nameEnd: "[ARGS]" },
    idLength: 9,
  },
  {
    name: "mistral", // Mistral 7B 0.3, Nemo, Large
    detect: has("[TOOL_CALLS]"),
    syntax: object(frame("[TOOL_CALLS]", ""), { isList: true, idKey: "id", idPattern: "^[a-zA-Z0-9]{9}$" }),
    idLength: 9,
  },
  {
    name: "command-r7b",
    detect: has("<|START_ACTION|>", "tool_name", "parameters"),
    syntax: object(frame("<|START_ACTION|>", "<|END_ACTION|>"), {
      ...{ isList: true, nameKey: "tool_name", argumentsKey: "parameters" },
      ...{ idKey: "tool_call_id", idPattern: "^[0-9]{1,2}$" },
    }),
  },
  {
    name: "nemotron",
    detect: has("<TOOLCALL>"),
    syntax: object(frame("<TOOLCALL>", "</TOOLCALL>"), { isList: true }),
  },
  {
    name: "granite", // Granite 3
    detect: has("<|tool_call|>", "JSON list"),
    syntax: object(frame("<|tool_call|>", ""), { isList: true }),
  },
  {
    name: "firefunction",
    detect: has("functools["),
    syntax: object(frame("functools", ""), { isList: true }),
  },
  {
    name: "hermes", // Hermes 2 and 3, Qwen 2.5 and 3, SmolLM2 and 3, Granite 4
    detect: (template) => has("<tool_call>", "arguments")(template) && !template.includes("<invoke"),
    syntax: object(frame("<tool_call>\n", "\n</tool_call>", "\n")),
  },
  {
    name: "llama-3", // Llama 3.1 to 3.3
    detect: has('{"name": function name, "parameters":'),
    syntax: object(frame("", "", "; "), { argumentsKey: "parameters" }),
    ends: ["<|eom_id|>"],
  },
];

/** The form asked for by a system message, for models whose template has none that this file knows. */
export const GENERIC_FORMAT: CallFormat = {
  name: "generic",
  detect: () => true,
  syntax: object(frame("", "", "\n")),
};

/** The text that begins the calls of an answer; empty if a call is the whole answer. */
export function triggerOf({ start, open }: CallSyntax): string {
  return (start === "" ? open : start).trimEnd();
}

/** The keys that a call may begin with if it is the whole answer. */
export function openingKeys(syntax: CallSyntax): readonly string[] {
  return syntax.kind === "object" ? [syntax.nameKey, syntax.argumentsKey] : [];
}

/** What an answer consists of, if it is a sequence of sections. */
export function sectionsOf({ syntax }: CallFormat): Sections | undefined {
  return syntax.kind === "named" ? syntax.sections : undefined;
}

/** Recognises the format of a chat template; generic if it writes no calls, or in a form that this file does not know. */
export function callFormatOf(template: string): CallFormat {
  return CALL_FORMATS.find(({ detect }) => detect(template)) ?? GENERIC_FORMAT;
}
