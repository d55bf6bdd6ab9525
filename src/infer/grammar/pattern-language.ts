/**
 * @file The language of a parsed pattern. It is built from the end to the start: each part is given the language of all that
 * follows it, so that `$` and lookaheads, which look at what follows, are intersections with that language.
 */
import type { QuernError } from "../../errors.js";
import { codePointExpression } from "./code-points.js";
import type { Expression } from "./expression.js";
import type { ExpressionPool } from "./expression-pool.js";
import { type PatternNode, parsePattern, refusePattern } from "./pattern-syntax.js";

/** What follows a part: where it starts at the start of the text, and where it starts later. */
interface Following {
  readonly atStart: Expression;
  readonly later: Expression;
}

/** Largest count of a repeated part that has anchors or lookaheads, which is written out. */
const MAX_COPIES = 64;

/**
 * The words that a pattern matches as a whole (anchors are allowed, but not needed).
 * @param text the language of well-formed texts
 * @throws QuernError (exit code 2) if the pattern is wrong or is no regular language
 */
export function wholePattern(pool: ExpressionPool, source: string, text: Expression): Expression {
  const whole = new PatternCompiler(pool, source).starting(pool.epsilon);
  return whole.wellFormed ? whole : pool.and([text, whole]);
}

/** The well-formed texts in which a pattern matches somewhere, as JSON Schema's `pattern` and `RegExp.test` search it. */
export function searchedPattern(pool: ExpressionPool, source: string, text: Expression): Expression {
  const found = new PatternCompiler(pool, source).anywhere();
  return found.wellFormed ? found : pool.and([text, found]);
}

class PatternCompiler {
  readonly #pool: ExpressionPool;
  readonly #source: string;
  readonly #tree: PatternNode;

  constructor(pool: ExpressionPool, source: string) {
    this.#pool = pool;
    this.#source = source;
    pool.meter.spend("states", 4 * source.length);
    this.#tree = parsePattern(source, pool.meter);
  }

  starting(end: Expression): Expression {
    return this.#convert(this.#tree, { atStart: end, later: end }).atStart;
  }

  anywhere(): Expression {
    const pool = this.#pool;
    const { atStart, later } = this.#convert(this.#tree, { atStart: pool.anything, later: pool.anything });
    const moved = pool.concat(pool.anything, later);
    return atStart === later ? moved : pool.or([atStart, moved]);
  }

  #convert(node: PatternNode, following: Following): Following {
    const pool = this.#pool;
    const { atStart, later } = following;
    switch (node.kind) {
      case "class": {
        const rest = pool.concat(codePointExpression(pool, node.ranges), later);
        return { atStart: rest, later: rest };
      }
      case "sequence":
        return node.parts.reduceRight<Following>((rest, part) => this.#convert(part, rest), following);
      case "choice": {
        const choices = node.parts.map((part) => this.#convert(part, following));
        return {
          atStart: pool.or(choices.map((choice) => choice.atStart)),
          later: pool.or(choices.map((choice) => choice.later)),
        };
      }
      case "start":
        return { atStart, later: pool.empty };
      case "end": {
        const end = (rest: Expression) => (rest.nullable ? pool.epsilon : pool.empty);
        return { atStart: end(atStart), later: end(later) };
      }
      case "lookahead": {
        const seen = this.#convert(node.part, { atStart: pool.anything, later: pool.anything });
        const limit = (condition: Expression) => (node.negated ? pool.not(condition) : condition);
        return {
          atStart: pool.and([limit(seen.atStart), atStart]),
          later: pool.and([limit(seen.later), later]),
        };
      }
      case "boundary":
        throw this.#unsupported(node.negated ? "\\B" : "\\b, a word boundary");
      case "repeat":
        return this.#repeated(node.part, node.min, node.max, following);
      default:
        node satisfies never;
        throw new Error("unreachable");
    }
  }

  #repeated(part: PatternNode, min: number, max: number, following: Following): Following {
    const pool = this.#pool;
    if (isPlain(part)) {
      const { later: once } = this.#convert(part, { atStart: pool.epsilon, later: pool.epsilon });
      const later = pool.concat(pool.repeat(once, min, max), following.later);
      if (following.atStart === following.later) return { atStart: later, later };
      // At the start of the text, no repetition leaves what follows at the start.
      const nonEmpty = once.nullable
        ? pool.and([pool.repeat(once, min, max), pool.not(pool.epsilon)])
        : pool.repeat(once, Math.max(min, 1), max);
      const moved = pool.concat(nonEmpty, following.later);
      const stays = min === 0 || once.nullable ? following.atStart : pool.empty;
      return { atStart: pool.or([stays, moved]), later };
    }
    const tempered = this.#tempered(part, min, max, following);
    if (tempered !== undefined) return { atStart: tempered, later: tempered };
    const copies = max === Number.POSITIVE_INFINITY ? min : max;
    if (max === Number.POSITIVE_INFINITY && min <= 1 && isAssertion(part))
      return min === 0 ? following : this.#convert(part, following);
    if (max === Number.POSITIVE_INFINITY || copies > MAX_COPIES)
      throw this.#unsupported("an anchor or a lookahead inside a repetition");
    let result = following;
    for (let i = copies; i > 0; i--) {
      const next = this.#convert(part, result);
      result =
        i > min
          ? {
              atStart: pool.or([following.atStart, next.atStart]),
              later: pool.or([following.later, next.later]),
            }
          : next;
    }
    return result;
  }

  /** `(?:(?!X)Y)*` up to the end of the text: repetitions of Y in which X starts nowhere. */
  #tempered(part: PatternNode, min: number, max: number, { atStart, later }: Following): Expression | undefined {
    const pool = this.#pool;
    if (part.kind !== "sequence" || max !== Number.POSITIVE_INFINITY || min > 1) return undefined;
    if (atStart !== pool.epsilon || later !== pool.epsilon) return undefined;
    const isCondition = (node: PatternNode) => node.kind === "lookahead" && node.negated && isPlain(node.part);
    const first = part.parts.findIndex((node) => !isCondition(node));
    const rest = first < 0 ? [] : part.parts.slice(first);
    // Each repetition must be one character, so that X is looked for at every one.
    if (rest.length !== 1 || rest[0].kind !== "class") return undefined;
    const end = { atStart: pool.epsilon, later: pool.epsilon };
    const all = { atStart: pool.anything, later: pool.anything };
    const banned = part.parts.slice(0, first).map((node) => {
      const { later: found } = this.#convert(node.kind === "lookahead" ? node.part : node, all);
      return found.nullable ? undefined : pool.not(pool.concat(pool.anything, found));
    });
    if (banned.includes(undefined)) return undefined;
    const repeated = pool.repeat(this.#convert(rest[0], end).later, min, max);
    return pool.and([repeated, ...banned.filter((each) => each !== undefined)]);
  }

  #unsupported(what: string): QuernError {
    return refusePattern(this.#source, `has ${what}, which is not supported`);
  }
}

/** Whether a part only consumes characters, without regard to what is around it. */
function isPlain(node: PatternNode): boolean {
  if (node.kind === "class") return true;
  if (node.kind === "sequence" || node.kind === "choice") return node.parts.every(isPlain);
  return node.kind === "repeat" && isPlain(node.part);
}

function isAssertion(node: PatternNode): boolean {
  return node.kind === "start" || node.kind === "end" || node.kind === "lookahead";
}
