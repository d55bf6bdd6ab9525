/** @file The words of the agreement pairs: those of children's stories, most of them among the first thousand of English. */

export interface Forms {
  readonly singular: string;
  readonly plural: string;
}

const forms = (list: string): readonly Forms[] =>
  list.split(", ").map((entry) => {
    const [singular, plural = `${singular}s`] = entry.split("/");
    return { singular, plural };
  });

/** Subjects that can do and feel what the predicates say. */
export const CREATURES = forms(
  "boy, girl, dog, cat, bird, bear, rabbit, frog, duck, mouse/mice, child/children, man/men, woman/women, king, farmer, fox/foxes",
);

/** A subject of one gender and its counterpart. */
export const COUNTERPARTS: readonly (readonly [he: Forms, she: Forms])[] = [
  ["boy", "girl"],
  ["man/men", "woman/women"],
  ["king", "queen"],
  ["prince", "princess/princesses"],
  ["uncle", "aunt"],
].map(([he, she]) => [forms(he)[0], forms(she)[0]]);

export const THINGS = forms(
  "tree, box/boxes, toy, flower, house, rock, book, chair, kite, hat, car, boat, apple, leaf/leaves, cake, door",
);

export const PLACES: readonly string[] = ["near", "behind", "next to", "in front of"];

/** What a creature does to another, in the past: the verb shows no number. */
export const EVENTS: readonly string[] = ["helped", "saw", "found", "hugged", "followed", "called"];

/** Predicates whose verb shows the number. */
export const PREDICATES: readonly Forms[] = [
  ["is happy", "are happy"],
  ["is very big", "are very big"],
  ["is very kind", "are very kind"],
  ["was sad", "were sad"],
  ["was hungry", "were hungry"],
  ["was late", "were late"],
  ["has a new friend", "have a new friend"],
  ["has a lot of fun", "have a lot of fun"],
  ["wants to play", "want to play"],
  ["likes to sing", "like to sing"],
  ["loves the park", "love the park"],
  ["runs very fast", "run very fast"],
  ["sleeps all day", "sleep all day"],
  ["jumps up and down", "jump up and down"],
  ["looks tired", "look tired"],
  ["plays outside", "play outside"],
].map(([singular, plural]) => ({ singular, plural }));

export const NAMES: readonly string[] = ["Lily", "Tom", "Ben", "Anna", "Mia", "Sam", "Max", "Sue"];

/** What a person did with a thing, in the past. */
export const SIGHTS: readonly string[] = ["saw", "liked", "found", "wanted", "painted"];

export const DETERMINERS: readonly Forms[] = [
  { singular: "this", plural: "these" },
  { singular: "that", plural: "those" },
];

export const ADJECTIVES: readonly string[] = ["big", "little", "red", "old", "pretty", "new"];

/** What people do to themselves, in the past. */
export const REFLEXIVE_EVENTS: readonly string[] = [
  "hurt SELF",
  "saw SELF in the mirror",
  "looked at SELF",
  "washed SELF",
  "told SELF to be brave",
  "gave SELF a big hug",
  "dressed SELF",
  "covered SELF with a blanket",
  "made SELF a cake",
  "asked SELF what to do",
  "taught SELF to swim",
  "bought SELF a new hat",
];
