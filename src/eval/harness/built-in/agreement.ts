/**
 * @file Minimal pairs of English agreement, in the manner of BLiMP (Warstadt et al. 2020, "BLiMP: The Benchmark of Linguistic
 * Minimal Pairs for English", TACL 8), in words of children's stories. A model is right if the grammatical sentence is
 * likelier. Every frame occurs with each answer equally often, so a model that prefers one form always scores 50 %.
 */
import { PythonRandom } from "../python-random.js";
import { defineGroup, defineTask, type TypedTask } from "../typed/typed-task.js";
import {
  ADJECTIVES,
  COUNTERPARTS,
  CREATURES,
  DETERMINERS,
  EVENTS,
  type Forms,
  NAMES,
  PLACES,
  PREDICATES,
  REFLEXIVE_EVENTS,
  SIGHTS,
  THINGS,
} from "./agreement-words.js";

/** Fields are BLiMP's. */
export interface MinimalPair {
  readonly sentence_good: string;
  readonly sentence_bad: string;
  /** Of the word that decides. */
  readonly number: "singular" | "plural";
}

export interface Phenomenon {
  readonly name: string;
  /** Returns the pairs of every frame; a frame is a choice of words. */
  readonly frames: () => readonly (readonly MinimalPair[])[];
}

const NUMBERS = ["singular", "plural"] as const;
const other = { singular: "plural", plural: "singular" } as const;

/** Both numbers of a sentence whose verb may be right or wrong. */
function verbPairs(predicate: Forms, subject: (number: "singular" | "plural") => string): readonly MinimalPair[] {
  return NUMBERS.map((number) => ({
    sentence_good: `${subject(number)} ${predicate[number]}.`,
    sentence_bad: `${subject(number)} ${predicate[other[number]]}.`,
    number,
  }));
}

/**
 * Five phenomena: subject and verb side by side, across a prepositional phrase, and across a relative clause; determiner and
 * noun; reflexive pronoun and subject, in gender and number. Where words stand between, a noun of the other number is nearer
 * to the verb.
 */
export const PHENOMENA: readonly Phenomenon[] = [
  {
    name: "agreement_simple",
    frames: () =>
      CREATURES.flatMap((noun) =>
        PREDICATES.map((predicate) => verbPairs(predicate, (number) => `The ${noun[number]}`)),
      ),
  },
  {
    name: "agreement_prepositional",
    frames: () =>
      CREATURES.flatMap((noun) =>
        THINGS.flatMap((thing) =>
          PLACES.flatMap((place) =>
            PREDICATES.map((predicate) =>
              verbPairs(predicate, (number) => `The ${noun[number]} ${place} the ${thing[other[number]]}`),
            ),
          ),
        ),
      ),
  },
  {
    name: "agreement_relative",
    frames: () =>
      CREATURES.flatMap((noun) =>
        CREATURES.filter((second) => second !== noun).flatMap((second) =>
          EVENTS.flatMap((event) =>
            PREDICATES.flatMap((predicate) => [
              verbPairs(predicate, (number) => `The ${noun[number]} that ${event} the ${second[other[number]]}`),
              verbPairs(predicate, (number) => `The ${noun[number]} that the ${second[other[number]]} ${event}`),
            ]),
          ),
        ),
      ),
  },
  {
    name: "agreement_determiner",
    frames: () =>
      NAMES.flatMap((person) =>
        SIGHTS.flatMap((sight) =>
          DETERMINERS.flatMap((determiner) =>
            ["", ...ADJECTIVES].flatMap((adjective) =>
              THINGS.map((thing) =>
                NUMBERS.map((number) => {
                  const start = [person, sight, determiner[number], adjective].filter((word) => word !== "").join(" ");
                  return {
                    sentence_good: `${start} ${thing[number]}.`,
                    sentence_bad: `${start} ${thing[other[number]]}.`,
                    number,
                  };
                }),
              ),
            ),
          ),
        ),
      ),
  },
  {
    name: "agreement_anaphor",
    frames: () => COUNTERPARTS.flatMap(([he, she]) => REFLEXIVE_EVENTS.map((event) => anaphorPairs(he, she, event))),
  },
];

/** Each of the three pronouns is right twice and wrong twice. */
function anaphorPairs(he: Forms, she: Forms, event: string): readonly MinimalPair[] {
  const pair = (subject: string, good: string, bad: string, number: MinimalPair["number"]): MinimalPair => ({
    sentence_good: `The ${subject} ${event.replace("SELF", good)}.`,
    sentence_bad: `The ${subject} ${event.replace("SELF", bad)}.`,
    number,
  });
  return [
    pair(he.singular, "himself", "herself", "singular"),
    pair(she.singular, "herself", "himself", "singular"),
    pair(he.plural, "themselves", "himself", "plural"),
    pair(she.plural, "themselves", "herself", "plural"),
    pair(he.singular, "himself", "themselves", "singular"),
    pair(she.singular, "herself", "themselves", "singular"),
  ];
}

/** Pairs per phenomenon; whole frames, so it may be exceeded by a few. The standard error near chance is .035. */
const PAIRS = 200;

/** Draws frames and returns their pairs: 200, or the least number above that whole frames give. */
export function agreementPairs({ name, frames }: Phenomenon, seed = 0): readonly MinimalPair[] {
  const all = frames();
  const count = Math.ceil(PAIRS / all[0].length);
  return new PythonRandom(`${name} ${seed}`).sample(all, count).flat();
}

function taskOf(phenomenon: Phenomenon): TypedTask {
  const { name } = phenomenon;
  return defineTask<MinimalPair>({
    name,
    outputType: "multiple_choice",
    documents: () => agreementPairs(phenomenon),
    docToText: "",
    docToChoice: ({ sentence_good, sentence_bad }) => [sentence_good, sentence_bad],
    docToTarget: 0,
    targetDelimiter: "",
    fewshot: { count: 0 },
    metrics: ["acc"],
    chance: 0.5,
  });
}

/** The five phenomena and their mean. */
export const AGREEMENT = defineGroup({ name: "agreement", tasks: PHENOMENA.map(taskOf) });
