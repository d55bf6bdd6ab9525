/** @file Constrained decoding for a model: its vocabulary is prepared once, each schema is compiled once. */
import {
  anyJsonObject,
  type CompiledConstraint,
  compileJsonSchema,
  type GrammarVocabulary,
  grammarVocabulary,
} from "../infer/index.js";
import type { LoadedModel } from "./models.js";
import type { ChatGrammar } from "./tools/plan.js";

/** Compiled schemas kept for each model. */
const MOST_SCHEMAS = 64;

const grammars = new WeakMap<object, ChatGrammar>();

/** Returns the grammar of a model, which lives as long as the model is loaded. */
export function grammarOf({ tokenizer, endOfAnswer, config }: LoadedModel): ChatGrammar {
  const known = grammars.get(tokenizer);
  if (known !== undefined) return known;
  const vocabulary: GrammarVocabulary = grammarVocabulary(tokenizer, endOfAnswer, config.vocabSize);
  const schemas = new Map<string, CompiledConstraint>();
  const grammar: ChatGrammar = {
    vocabulary: { ...vocabulary, special: tokenizer.special },
    compileSchema(schema) {
      const key = JSON.stringify(schema);
      const found = schemas.get(key) ?? compileJsonSchema(schema, vocabulary);
      schemas.delete(key); // the latest is last
      schemas.set(key, found);
      const [oldest] = schemas.keys();
      if (schemas.size > MOST_SCHEMAS) schemas.delete(oldest);
      return found;
    },
    anyObject: () => anyJsonObject(vocabulary),
  };
  grammars.set(tokenizer, grammar);
  return grammar;
}
