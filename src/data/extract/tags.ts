/**
 * @file Properties of HTML tags. A tag name is looked up once, when its start tag is read. The node keeps the record
 * found here for later rules.
 */

/** How a tag's content is displayed; dropped content is never read. */
export type Layout = "block" | "inline" | "void" | "dropped";

export interface Tag {
  readonly name: string;
  readonly layout: Layout;
  readonly block: boolean;
  /** Whether most end tags cannot close elements outside this one. */
  readonly barrier: boolean;
  /** 1 to 6 for headings, else 0. */
  readonly heading: number;
  /** Open elements that a start tag of this name closes, up to the nearest one in `within`. */
  readonly ends: ReadonlySet<string> | null;
  readonly within: ReadonlySet<string> | null;
}

const VOID = "area base basefont bgsound br col embed frame hr img input link meta param source track wbr".split(" ");

/** Elements whose contents are not text of the page and are not read. */
const DROPPED = (
  "style template svg iframe frameset object applet canvas video audio map noembed noframes datalist dialog " +
  "portal progress meter"
).split(" ");

const BLOCK = (
  "html head body address article aside blockquote center details summary dd dir div dl dt fieldset figcaption figure " +
  "footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li listing main menu nav ol p plaintext pre search section " +
  "table caption colgroup tbody td tfoot th thead tr ul xmp noscript select option optgroup title textarea"
).split(" ");

const BARRIER = "html body table td th caption button object math template".split(" ");

const words = (list: string): ReadonlySet<string> => new Set(list.split(" "));
const CELLS = words("td th");
const P = words("p");
const TABLE = words("table template");
const ENDS_PARAGRAPH = (
  "address article aside blockquote center details dir div dl fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 " +
  "header hgroup hr listing main menu nav ol p pre search section table ul xmp summary"
).split(" ");

const implied = new Map<string, readonly [ends: ReadonlySet<string>, within: ReadonlySet<string>]>([
  ["li", [words("li"), words("ul ol menu dir table td th template")]],
  ["dt", [words("dt dd"), words("dl table td th template")]],
  ["dd", [words("dt dd"), words("dl table td th template")]],
  ["tr", [words("tr td th caption colgroup"), TABLE]],
  ["td", [CELLS, words("table tr")]],
  ["th", [CELLS, words("table tr")]],
  ["thead", [words("thead tbody tfoot tr td th caption colgroup"), TABLE]],
  ["tbody", [words("thead tbody tfoot tr td th caption colgroup"), TABLE]],
  ["tfoot", [words("thead tbody tfoot tr td th caption colgroup"), TABLE]],
  ["option", [words("option"), words("select optgroup")]],
  ["optgroup", [words("option optgroup"), words("select")]],
  ["a", [words("a"), words("table td th body template")]],
  ["rt", [words("rt rp rb"), words("ruby rtc")]],
  ["rp", [words("rt rp rb"), words("ruby rtc")]],
  ["rb", [words("rt rp rb rtc"), words("ruby")]],
  ["rtc", [words("rt rp rb rtc"), words("ruby")]],
  ["body", [words("head"), words("html")]],
]);
for (const name of ENDS_PARAGRAPH) implied.set(name, [P, words("table td th body button template")]);

const known = new Map<string, Tag>();

function define(name: string): Tag {
  const layout: Layout = VOID.includes(name)
    ? "void"
    : DROPPED.includes(name)
      ? "dropped"
      : BLOCK.includes(name)
        ? "block"
        : "inline";
  const [ends, within] = implied.get(name) ?? [null, null];
  return {
    name,
    layout,
    block: BLOCK.includes(name),
    barrier: BARRIER.includes(name),
    heading: /^h[1-6]$/.test(name) ? Number(name[1]) : 0,
    ends,
    within,
  };
}

for (const name of [...VOID, ...DROPPED, ...BLOCK, ...BARRIER, ...implied.keys()]) known.set(name, define(name));
for (const name of (
  "a abbr acronym b bdi bdo big button cite code data del dfn em font i ins kbd label mark math output q rp rt ruby s samp " +
  "script small span strike strong sub sup time tt u var annotation semantics mi mo mn mtext mrow mfrac msqrt mroot msub " +
  "msup msubsup munder mover munderover mtable mtr mtd mspace mstyle mpadded mphantom menclose mfenced ms mmultiscripts"
).split(" ")) {
  known.set(name, define(name));
}

/** The tag of text nodes. */
export const TEXT: Tag = { ...define("#text"), layout: "inline" };

/** Unknown names become inline tags. At most this many names are cached, so that a hostile page cannot fill memory. */
const MAX_NAMES = 2000;

/** Returns the record of a tag name, ignoring case. */
export function tagOf(written: string): Tag {
  const found = known.get(written);
  if (found !== undefined) return found;
  const name = written.toLowerCase();
  const same = known.get(name);
  if (same !== undefined) return same;
  const tag = define(name.length > 40 ? "unknown" : name);
  // Copy the name: a slice would keep the whole page in memory.
  if (known.size < MAX_NAMES && name.length <= 40) known.set(Buffer.from(name).toString(), tag);
  return tag;
}
