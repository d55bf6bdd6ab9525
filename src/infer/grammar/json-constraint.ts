/** @file A completion that is a JSON document under a schema. */
import type { CompiledConstraint, TokenConstraint } from "../token-constraint.js";
import { Context } from "./context.js";
import { Expansion } from "./expansion.js";
import { JsonMachine, type Threads } from "./json-machine.js";
import { refuse, SchemaDocument } from "./schema-document.js";
import { dropRepeated, TokenMasks } from "./token-masks.js";
import { ValueGraph } from "./value-graph.js";
import type { GrammarVocabulary } from "./vocabulary.js";
import { COMPILE_WORK, STEP_WORK } from "./work-meter.js";
import { tokensOf } from "./written-text.js";

export interface JsonSchemaOptions {
  /** Whether JSON's white space is allowed between the parts of a document; default true. False gives compact documents. */
  readonly whiteSpace?: boolean;
}

/** Most masks that one schema keeps. */
const MAX_MASKS = 2000;

/**
 * Compiles a JSON Schema (2020-12; the older drafts' spellings are understood) for one vocabulary. The work is limited, here and for
 * each mask: what would take over about 2 s is refused.
 * @throws QuernError (exit code 2) that names a keyword which cannot be kept exactly, says that nothing meets the schema, or says what
 *   is too large
 */
export function compileJsonSchema(
  schema: unknown,
  vocabulary: GrammarVocabulary,
  options: JsonSchemaOptions = {},
): CompiledConstraint {
  let shared = vocabulary.shared();
  let grammar = compiled(schema, vocabulary, options);
  return {
    open() {
      // The states of long use fill the memory, so that they are forgotten at times.
      if (vocabulary.shared() !== shared) {
        shared = vocabulary.shared();
        grammar = compiled(schema, vocabulary, options);
      }
      return new JsonConstraint(grammar);
    },
  };
}

function compiled(schema: unknown, vocabulary: GrammarVocabulary, options: JsonSchemaOptions): JsonGrammar {
  const { lexer, masks } = vocabulary.shared();
  let place = () => "";
  return lexer.pool.meter.limit(
    COMPILE_WORK,
    () => `the JSON Schema${place()}`,
    () => {
      const document = new SchemaDocument(schema);
      const expansion = new Expansion(document, lexer);
      const graph = new ValueGraph(expansion);
      place = () => graph.place;
      const root = graph.build([expansion.facts.of(document.root)]);
      if (root.cost === Number.POSITIVE_INFINITY)
        throw refuse("allows no document; change the keywords that contradict each other");
      const machine = new JsonMachine(root, graph.nodes, lexer, {
        whiteSpace: options.whiteSpace ?? true,
        trie: vocabulary.trie,
      });
      return new JsonGrammar(machine, new TokenMasks(machine, masks, vocabulary), vocabulary);
    },
  );
}

/** Any JSON object: what `response_format` `json_object` asks for. */
export function anyJsonObject(vocabulary: GrammarVocabulary, options: JsonSchemaOptions = {}): CompiledConstraint {
  return compileJsonSchema({ type: "object" }, vocabulary, options);
}

/** What all completions under one schema share. */
class JsonGrammar {
  readonly machine: JsonMachine;
  readonly vocabulary: GrammarVocabulary;
  readonly #masks: TokenMasks;
  readonly #endOfText: Uint32Array;
  #kept = 0;
  /** The empty stack; a new one forgets the masks. */
  root = new Context({ kind: "root" });

  constructor(machine: JsonMachine, masks: TokenMasks, vocabulary: GrammarVocabulary) {
    this.machine = machine;
    this.vocabulary = vocabulary;
    this.#masks = masks;
    this.#endOfText = new Uint32Array(Math.ceil(vocabulary.size / 32));
    for (const id of vocabulary.endOfText) this.#endOfText[id >> 5] |= 1 << (id & 31);
  }

  /** Limits the work of one mask, token or completion. */
  step<T>(task: () => T): T {
    return this.machine.lexer.pool.meter.limit(STEP_WORK, () => "the JSON Schema, after the text so far,", task);
  }

  /** The tokens that may follow in one state, with the end of text where the document may end. */
  mask(state: number, context: Context): Uint32Array {
    const known = context.masks?.get(state);
    if (known !== undefined) return known;
    if (this.#kept >= MAX_MASKS) {
      this.root = new Context({ kind: "root" });
      this.#kept = 0;
    }
    const mask = this.#masks.of(state, context);
    if (this.machine.isComplete(state, context)) for (let i = 0; i < mask.length; i++) mask[i] |= this.#endOfText[i];
    context.masks ??= new Map();
    context.masks.set(state, mask);
    this.#kept++;
    return mask;
  }
}

class JsonConstraint implements TokenConstraint {
  readonly #grammar: JsonGrammar;
  #threads: Threads;
  #ended = false;
  #union: Uint32Array | undefined;

  constructor(grammar: JsonGrammar) {
    this.#grammar = grammar;
    this.#threads = { states: [grammar.machine.start], contexts: [grammar.root] };
  }

  mask(): Uint32Array {
    const { states, contexts } = this.#threads;
    const isKnown = !this.#ended && states.length === 1;
    return (isKnown && contexts[0].masks?.get(states[0])) || this.#grammar.step(() => this.#mask());
  }

  #mask(): Uint32Array {
    const grammar = this.#grammar;
    const { states, contexts } = this.#threads;
    if (this.#ended || states.length !== 1) {
      this.#union ??= new Uint32Array(Math.ceil(grammar.vocabulary.size / 32));
      const union = this.#union.fill(0);
      if (this.#ended) return union;
      for (let t = 0; t < states.length; t++) {
        const mask = grammar.mask(states[t], contexts[t]);
        for (let i = 0; i < mask.length; i++) union[i] |= mask[i];
      }
      return union;
    }
    return grammar.mask(states[0], contexts[0]);
  }

  accept(id: number): void {
    if (this.isComplete && this.#grammar.vocabulary.endOfText.includes(id)) {
      this.#ended = true;
      return;
    }
    const next = this.#grammar.step(() => this.#after(id));
    if (next === undefined) throw new Error(`token ${id} is not allowed here`);
    this.#threads = next;
  }

  #after(id: number): Threads | undefined {
    const bytes = this.#grammar.vocabulary.tokenBytes[id];
    if (bytes === undefined || this.#ended) return undefined;
    let threads = this.#threads;
    for (const byte of bytes) {
      const next: Threads = { states: [], contexts: [] };
      for (let i = 0; i < threads.states.length; i++)
        this.#grammar.machine.step(threads.states[i], threads.contexts[i], byte, next);
      if (next.states.length === 0) return undefined;
      if (next.states.length > 1) dropRepeated(next, 0);
      threads = next;
    }
    return threads;
  }

  get isComplete(): boolean {
    const { states, contexts } = this.#threads;
    return this.#ended || states.some((state, i) => this.#grammar.machine.isComplete(state, contexts[i]));
  }

  shortestCompletion(): readonly number[] {
    if (this.isComplete) return [];
    return tokensOf(this.#grammar.step(() => this.#grammar.machine.shortest(this.#threads)));
  }
}
