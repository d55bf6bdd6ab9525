/** @file What a chat request with tools or a response format means for its model: prompt, constraint, and how to read the answer. */
import { randomBytes } from "node:crypto";
import { QuernError } from "../../errors.js";
import {
  type CompiledConstraint,
  compileParts,
  compileTriggered,
  type PartVocabulary,
  type TextPart,
} from "../../infer/index.js";
import { type ChatMessage, chatTemplateSource, type Tokenizer } from "../../tokenizer/index.js";
import type { ChatRequest, JsonSchema, OutputFormat, Tool } from "../protocol/chat-request.js";
import { RequestError } from "../protocol/request-error.js";
import type { AnswerReader } from "./answer-pieces.js";
import { answerReader, textReader } from "./answer-reader.js";
import { type CallFormat, callFormatOf, openingKeys, sectionsOf, triggerOf } from "./call-format.js";
import { callsPart, isTextSchema, withoutStart } from "./call-grammar.js";
import {
  checkToolMessages,
  NO_TOOLS,
  nativeMessages,
  shortId,
  templateTools,
  toolObject,
  withToolList,
} from "./conversation.js";
import { compileSections } from "./section-grammar.js";
import { compileWholeCall, PYTHON_TAG } from "./whole-call.js";

/** Constrained decoding for one model. */
export interface ChatGrammar {
  readonly vocabulary: PartVocabulary;
  /** @throws QuernError for a schema that is not supported, naming the keyword */
  compileSchema(schema: JsonSchema): CompiledConstraint;
  /** Any JSON object. */
  anyObject(): CompiledConstraint;
}

export interface ChatPlan {
  /** For `renderChat`. */
  readonly messages: readonly ChatMessage[];
  /** For `renderChat`; undefined if the template is not to list tools. */
  readonly tools: readonly object[] | undefined;
  readonly constraint: CompiledConstraint | undefined;
  /** Special tokens that the reader must see in the text. */
  readonly visibleSpecial: ReadonlySet<number>;
  /** Further tokens that end the answer. */
  readonly ends: readonly number[];
  /** Opens the reader of one answer. */
  openReader(): AnswerReader;
}

type PlannedFields = Pick<
  ChatRequest,
  "messages" | "tools" | "toolChoice" | "parallelToolCalls" | "format" | "continuesLastMessage"
>;

/**
 * Plans an answer.
 * @param grammar called only if the answer is constrained
 * @throws RequestError for tools, messages of tools, or schemas that do not fit
 */
export async function planChat(
  request: PlannedFields,
  tokenizer: Tokenizer,
  grammar: () => ChatGrammar,
): Promise<ChatPlan> {
  const { messages, tools, toolChoice, format } = request;
  checkTools(tools);
  checkToolMessages(messages);
  const usesTools = tools.length > 0 || messages.some(({ role }) => role === "tool") || messages.some(hasCalls);
  const sections = sectionsOf(callFormatOf(chatTemplateSource(tokenizer, usesTools)));
  // A template of sections has them in every answer.
  const traits = usesTools || sections !== undefined ? await templateTools(tokenizer) : NO_TOOLS;
  const isListed = tools.length > 0 && toolChoice.mode !== "none";
  const read = nativeMessages(messages, traits);
  const rendered = {
    messages: isListed && !traits.listsTools ? withToolList(read, tools, traits.format) : read,
    tools: isListed && traits.listsTools ? tools.map(toolObject) : undefined,
  };
  if (!isListed && sections === undefined) {
    const constraint = format.type === "text" ? undefined : compileFormat(format, grammar());
    return { ...rendered, constraint, visibleSpecial: new Set(), ends: [], openReader: textReader };
  }
  const { format: calls } = traits;
  const { idLength } = calls;
  const special = marksOf(calls).flatMap((text) =>
    [...tokenizer.special].filter(([content]) => text.includes(content)).map(([, id]) => id),
  );
  const isConstrained = isListed || format.type !== "text";
  return {
    ...rendered,
    constraint: isConstrained ? constraintOf(request, calls, isListed, grammar()) : undefined,
    visibleSpecial: new Set(special),
    ends: (calls.ends ?? []).flatMap((text) => tokenizer.special.get(text) ?? []),
    openReader: () =>
      answerReader(calls, {
        newId: () => (idLength === undefined ? newCallId() : shortId(newCallId(), idLength)),
        isContinued: request.continuesLastMessage,
        isTool: (name) => isListed && tools.some((tool) => tool.name === name),
        isText: (name, argument) => isTextArgument(tools, name, argument),
      }),
  };
}

const hasCalls = (message: ChatRequest["messages"][number]) =>
  message.role === "assistant" && message.toolCalls.length > 0;

const newCallId = () => `call_${randomBytes(12).toString("hex")}`;

/** Texts that contain the marks that the reader needs to see. */
function marksOf(format: CallFormat): string[] {
  const { syntax } = format;
  const { start, open, close, end } = syntax;
  const nameEnds = syntax.kind === "object" ? [] : [syntax.nameEnd];
  const sections = sectionsOf(format);
  const inSections =
    sections === undefined ? [] : [sections.headerEnd, sections.textStart, "<|start|>", ...sections.ends];
  const marks = [start, open, close, end, ...nameEnds, "[CALL_ID]", PYTHON_TAG, ...inSections];
  return marks.filter((text) => text !== "");
}

/** @throws RequestError for two tools of the same name */
function checkTools(tools: readonly Tool[]): void {
  tools.forEach(({ name }, index) => {
    if (tools.findIndex((each) => each.name === name) === index) return;
    const param = `tools[${index}].function.name`;
    throw new RequestError(`${param} is ${JSON.stringify(name)} like an earlier tool's; give each its own name`, {
      param,
      code: "invalid_value",
    });
  });
}

function isTextArgument(tools: readonly Tool[], name: string, argument: string): boolean {
  const parameters = tools.find((tool) => tool.name === name)?.parameters;
  const properties = typeof parameters === "object" ? parameters.properties : undefined;
  const schema = (properties as Readonly<Record<string, JsonSchema>> | undefined)?.[argument];
  return schema !== undefined && isTextSchema(schema);
}

const SCHEMA_PARAM = "response_format.json_schema.schema";

function compileFormat(format: Exclude<OutputFormat, { type: "text" }>, grammar: ChatGrammar): CompiledConstraint {
  if (format.type === "json_object") return grammar.anyObject();
  return blamed(SCHEMA_PARAM, () => grammar.compileSchema(format.schema));
}

/** Turns the refusal of a schema into one of the request. */
function blamed<T>(param: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof QuernError) || error instanceof RequestError) throw error;
    throw new RequestError(`${param}: ${error.message}`, { param, code: "invalid_json_schema" });
  }
}

/** @param isListed whether there are tools that may be called; without, the format is no text */
function constraintOf(
  request: PlannedFields,
  calls: CallFormat,
  isListed: boolean,
  grammar: ChatGrammar,
): CompiledConstraint {
  const { tools, toolChoice, parallelToolCalls, format } = request;
  const { vocabulary } = grammar;
  const sections = sectionsOf(calls);
  const document: TextPart[] =
    format.type === "text" ? [] : [{ type: "document", constraint: compileFormat(format, grammar) }];
  const answer: TextPart = {
    type: "sequence",
    parts: [{ type: "literal", text: sections?.textStart ?? "" }, ...document],
  };
  if (!isListed) return compileParts(answer, vocabulary);
  const allowed = tools
    .map((tool, index) => ({ ...tool, param: `tools[${index}].function.parameters` }))
    .filter(({ name }) => toolChoice.names.includes(name));
  const part = callsPart(calls, allowed, parallelToolCalls, (schema, param) =>
    blamed(param, () => grammar.compileSchema(schema)),
  );
  if (toolChoice.mode === "required") return compileParts(part, vocabulary);
  if (document.length > 0) return compileParts({ type: "choice", parts: [answer, part] }, vocabulary);
  if (sections !== undefined) return compileSections(sections, calls.syntax.open, part, vocabulary);
  const trigger = triggerOf(calls.syntax);
  if (trigger === "") return compileWholeCall(openingKeys(calls.syntax), part, vocabulary);
  return compileTriggered([trigger], withoutStart(part, trigger), vocabulary);
}
