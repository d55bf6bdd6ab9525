/**
 * @file English words that are split, or kept whole, against the general rules: contractions (`don't` is `do` + `n't`),
 * abbreviations that keep their full stop, times of day, emoticons. The list follows spaCy's English tokenizer, since the
 * published thresholds were tuned on its words.
 */

/** Maps a word to the lengths of its parts; one length means that it stays whole. */
export type SpecialWords = ReadonlyMap<string, readonly number[]>;

const capital = (word: string) => (word[0] ?? "").toUpperCase() + word.slice(1);

/** Each stem takes each chain of endings: `we` with `ll+ve` forms `we'll've`, and without apostrophes `wellve`. */
const CONTRACTIONS: readonly (readonly [stems: string, endings: string])[] = [
  ["i", "m m+a ll ll+ve d d+ve ve"],
  ["you we they", "ll ll+ve d d+ve ve re"],
  ["he she it", "ll ll+ve d d+ve s"],
  ["who what when where why how there", "s ll ll+ve re ve d d+ve"],
  ["that this", "s ll ll+ve d d+ve"],
  ["these those", "ll ll+ve re ve d d+ve"],
  ["could might must should would", "ve"],
];
const NEGATED = "ca could do does did had may might must need ought sha should wo would";
const NEGATED_SHORT = "ai are is was were have has dare";
/** Contractions that are ordinary words without their apostrophe; these are not split. */
const ORDINARY = new Set("ill its hell shell shed were well whore".split(" "));

const KEPT_WHOLE =
  "'cause 'Cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout 'd 'em 'll 'nuff 're 's 'S ma'am Ma'am o'clock O'clock lovin' Lovin' " +
  "havin' Havin' doin' Doin' goin' Goin' nothin' Nothin' nuthin' Nuthin' somethin' Somethin' ol' Ol' and/or w/o C++ '' ' " +
  "Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. Kan. " +
  "Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. Mo. Mont. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. " +
  "S.C. Sep. Sept. Tenn. Va. Wash. Wis. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc. " +
  "Jr. Ltd. Md. Messrs. Mr. Mrs. Ms. p.m. a.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s. ä. ö. ü. ‘s ‘S " +
  "a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z.";
const EMOTICONS =
  ":) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-; :( :-( :(( :-(( :((( " +
  ":-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O :-O :o :-o :0 :-0 :() >:o :* :-* :3 :-3 =3 :> " +
  ":-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v V_V o_o o_O O_o O_O " +
  "0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>";
/** A bar marks where the word is split. */
const CUT =
  "y'|all y|all how|'d|'y How|'d|'y not|'ve not|ve Not|'ve Not|ve can|not Can|not gon|na Gon|na got|ta Got|ta let|'s Let|'s " +
  "c'm|on C'm|on";

/** Returns all special words, each also with the typographic apostrophe. */
export function englishSpecials(): SpecialWords {
  const words = new Map<string, readonly number[]>();
  const add = (parts: readonly string[]) => {
    words.set(
      parts.join(""),
      parts.map((part) => part.length),
    );
    const curly = parts.map((part) => part.replaceAll("'", "’"));
    words.set(
      curly.join(""),
      curly.map((part) => part.length),
    );
  };
  const contract = (stem: string, endings: readonly string[]) => {
    for (const word of [stem, capital(stem)]) {
      add([word, ...endings]);
      const plain = [word, ...endings.map((ending) => ending.replaceAll("'", ""))];
      if (!ORDINARY.has(plain.join("").toLowerCase())) add(plain);
    }
  };
  for (const [stems, endings] of CONTRACTIONS) {
    for (const stem of stems.split(" ")) {
      for (const chain of endings.split(" ")) {
        const parts = chain.split("+").map((ending, index) => (ending === "a" && index > 0 ? ending : `'${ending}`));
        contract(stem, parts);
      }
    }
  }
  for (const stem of NEGATED.split(" ")) {
    contract(stem, ["n't"]);
    contract(stem, ["n't", "'ve"]);
  }
  for (const stem of NEGATED_SHORT.split(" ")) contract(stem, ["n't"]);
  for (const cut of CUT.split(" ")) add(cut.split("|"));
  for (const word of `${KEPT_WHOLE} ${EMOTICONS}`.split(" ")) add([word]);
  for (let hour = 1; hour <= 12; hour++) for (const half of ["am", "pm", "a.m.", "p.m."]) add([String(hour), half]);
  return words;
}
