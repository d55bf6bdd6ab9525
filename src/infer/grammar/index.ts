/** @file Constrained decoding: JSON Schema and regular expressions as masks over the tokens that may come next. */
export { anyJsonObject, compileJsonSchema, type JsonSchemaOptions } from "./json-constraint.js";
export { compileRegularExpression } from "./text-constraint.js";
export { type GrammarVocabulary, grammarVocabulary, vocabularyOf } from "./vocabulary.js";
