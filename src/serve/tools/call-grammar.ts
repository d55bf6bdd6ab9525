/** @file The constraint of tool calls: each call as its format writes it, its arguments by their schema. */
import type { CompiledConstraint, TextPart } from "../../infer/index.js";
import type { JsonSchema, Tool } from "../protocol/chat-request.js";
import { RequestError } from "../protocol/request-error.js";
import type { CallFormat, CallSyntax } from "./call-format.js";

/** Compiles a schema; `param` is the field to blame if it cannot be. */
export type CompileSchema = (schema: JsonSchema, param: string) => CompiledConstraint;

type SchemaObject = { readonly [keyword: string]: unknown };

export interface GrammarTool extends Tool {
  /** Field of the request with its schema, such as `tools[0].function.parameters`. */
  readonly param: string;
}

/**
 * Returns one or more calls of these tools as a part of a constrained text.
 * @param isParallel whether there may be several calls, if the format has them
 * @throws RequestError for a schema that cannot be compiled, or that has no arguments by name
 */
export function callsPart(
  { syntax, isSingle }: CallFormat,
  tools: readonly GrammarTool[],
  isParallelWanted: boolean,
  compile: CompileSchema,
): TextPart {
  const isParallel = isParallelWanted && isSingle !== true;
  const checked = tools.map((tool) => ({ ...tool, schema: argumentsSchema(tool) }));
  const one = callPart(syntax, checked, isParallel, compile);
  const isList = syntax.kind === "object" && syntax.isList;
  const calls: TextPart = isParallel && !isList ? { type: "repeat", part: one, separator: syntax.separator } : one;
  return sequence(literal(syntax.start), calls, literal(syntax.end));
}

const literal = (text: string): TextPart => ({ type: "literal", text });
const sequence = (...parts: readonly TextPart[]): TextPart => ({ type: "sequence", parts });
const choice = (parts: readonly TextPart[]): TextPart => (parts.length === 1 ? parts[0] : { type: "choice", parts });

interface CheckedTool extends GrammarTool {
  readonly schema: SchemaObject;
}

/** The schema of a tool's arguments, which are an object. */
function argumentsSchema({ name, parameters, param }: GrammarTool): SchemaObject {
  if (parameters === true) return { type: "object" };
  if (typeof parameters !== "object") throw new RequestError(`the arguments of ${name} are never valid`, { param });
  const { type } = parameters;
  if (type === undefined) return { type: "object", ...parameters };
  if (type === "object" || (Array.isArray(type) && type.includes("object"))) return { ...parameters, type: "object" };
  throw new RequestError(`the arguments of a function are an object, but ${param}.type is ${JSON.stringify(type)}`, {
    param: `${param}.type`,
  });
}

function callPart(
  syntax: CallSyntax,
  tools: readonly CheckedTool[],
  isParallel: boolean,
  compile: CompileSchema,
): TextPart {
  const { open, close } = syntax;
  switch (syntax.kind) {
    case "object": {
      // Each alone first, so that an error names its tool.
      if (tools.length > 1) for (const { schema, param } of tools) compile(schema, param);
      const body: TextPart = {
        type: "document",
        constraint: compile(callSchema(syntax, tools, isParallel), tools[0].param),
      };
      return sequence(literal(open), body, literal(close));
    }
    case "named": {
      const { nameEnd, otherNameEnds = [], counter } = syntax;
      const ends = choice([nameEnd, ...otherNameEnds].map(literal));
      const count: TextPart[] =
        counter === undefined ? [] : [literal(counter), { type: "document", constraint: compile(COUNT, "") }];
      return choice(
        tools.map(({ name, schema, param }) =>
          sequence(
            literal(open + name),
            ...count,
            ends,
            { type: "document", constraint: compile(schema, param) },
            literal(close),
          ),
        ),
      );
    }
    case "tagged":
      return choice(
        tools.map((tool) =>
          sequence(
            literal(open + tool.name + syntax.nameEnd),
            ...taggedArguments(syntax, tool, compile),
            literal(close),
          ),
        ),
      );
    default:
      return syntax satisfies never;
  }
}

/** Schema of the number of a call. */
const COUNT: SchemaObject = { type: "integer", minimum: 0, maximum: 9999 };

/** The schema of a call, or of a list of calls. */
function callSchema(
  { nameKey, argumentsKey, idKey, idPattern, isList }: Extract<CallSyntax, { kind: "object" }>,
  tools: readonly CheckedTool[],
  isParallel: boolean,
): SchemaObject {
  const id = idKey === undefined ? {} : { [idKey]: { type: "string", pattern: idPattern } };
  const calls = tools.map(({ name, schema }, index) => {
    const properties = { [nameKey]: { const: name }, [argumentsKey]: embedded(schema, `#/$defs/${index}`), ...id };
    return { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
  });
  const one = calls.length === 1 ? calls[0] : { anyOf: calls };
  const $defs = Object.fromEntries(tools.map(({ schema }, index) => [index, embedded(schema, `#/$defs/${index}`)]));
  const whole = isList ? { type: "array", items: one, minItems: 1, ...(!isParallel && { maxItems: 1 }) } : one;
  return { ...whole, $defs };
}

/** Keywords whose values are no schemas. */
const DATA_KEYWORDS = ["const", "enum", "default", "example", "examples"];

/** Moves a schema into a larger one: its references from its root go to `place`. */
function embedded(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((each) => embedded(each, place));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
      if ((key === "$schema" || key === "$id") && typeof value === "string") return [];
      if (DATA_KEYWORDS.includes(key)) return [[key, value]];
      if (key === "$ref" && typeof value === "string" && value.startsWith("#")) return [[key, place + value.slice(1)]];
      return [[key, embedded(value, place)]];
    }),
  );
}

/** Keywords of a text that a tagged value, which ends at a mark, cannot be held to. */
const TEXT_KEYWORDS = ["pattern", "format", "minLength", "maxLength"];

/** The arguments in the order of their schema; those that are not required may be left out. */
function taggedArguments(
  { keyOpen, keyClose, jsonKeyClose = keyClose, valueClose }: Extract<CallSyntax, { kind: "tagged" }>,
  { name, schema, param }: CheckedTool,
  compile: CompileSchema,
): TextPart[] {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>;
  const required = (schema.required ?? []) as readonly string[];
  for (const key of Object.keys(schema)) {
    if (["type", "properties", "required", "additionalProperties", "$defs", "definitions"].includes(key)) continue;
    if (["description", "title", "$schema", "$id", "$comment"].includes(key)) continue;
    throw new RequestError(
      `${param}.${key} is not supported: this model writes the arguments of ${name} one by one, which ${key} does not describe`,
      { param: `${param}.${key}` },
    );
  }
  const missing = required.find((key) => !Object.hasOwn(properties, key));
  if (missing !== undefined) {
    throw new RequestError(`${param}.required names ${JSON.stringify(missing)}, which is not in properties`, {
      param: `${param}.required`,
    });
  }
  const defs = Object.fromEntries(
    ["$defs", "definitions"].flatMap((key) => (key in schema ? [[key, schema[key]]] : [])),
  );
  return Object.entries(properties).map(([key, given]): TextPart => {
    const where = `${param}.properties.${key}`;
    const property: SchemaObject = typeof given === "object" ? given : given ? {} : { not: {} };
    const value = (): TextPart => {
      if (!isTextSchema(property)) {
        return sequence(
          { type: "document", constraint: compile({ ...defs, ...property }, where) },
          literal(valueClose),
        );
      }
      if (Array.isArray(property.enum)) return choice(property.enum.map((each) => literal(`${each}${valueClose}`)));
      if (typeof property.const === "string") return literal(property.const + valueClose);
      const refused = TEXT_KEYWORDS.find((keyword) => keyword in property);
      if (refused === undefined) return { type: "until", end: valueClose };
      throw new RequestError(`${where}.${refused} is not supported: this model writes texts without quotes`, {
        param: `${where}.${refused}`,
      });
    };
    const argument = sequence(literal(keyOpen + key + (isTextSchema(property) ? keyClose : jsonKeyClose)), value());
    return required.includes(key) ? argument : { type: "choice", parts: [argument, literal("")] };
  });
}

/** Whether a schema describes a text only. */
export function isTextSchema(schema: JsonSchema): boolean {
  if (typeof schema !== "object") return false;
  if (schema.type === "string") return true;
  if (schema.type !== undefined) return false;
  if (Array.isArray(schema.enum)) return schema.enum.every((each) => typeof each === "string");
  return typeof schema.const === "string";
}

/** Cuts fixed text from the start of a part. @throws Error if it does not begin so */
export function withoutStart(part: TextPart, start: string): TextPart {
  if (start === "") return part;
  if (part.type === "literal" && part.text.startsWith(start)) return { ...part, text: part.text.slice(start.length) };
  if (part.type === "choice") return { ...part, parts: part.parts.map((each) => withoutStart(each, start)) };
  if (part.type === "sequence") {
    const at = part.parts.findIndex((each) => !(each.type === "literal" && each.text === ""));
    if (at >= 0) return { ...part, parts: [withoutStart(part.parts[at], start), ...part.parts.slice(at + 1)] };
  }
  if (part.type === "repeat") {
    // The first round lacks the start, later ones have it.
    const { part: round, separator } = part;
    const more: TextPart = { type: "sequence", parts: [{ type: "literal", text: separator }, part] };
    const rest: TextPart = { type: "choice", parts: [{ type: "literal", text: "" }, more] };
    return { type: "sequence", parts: [withoutStart(round, start), rest] };
  }
  throw new Error("the part begins with other text");
}
