/**
 * @file Classifies a page by type. Each sign adds points to one or more types: schema.org types, the generator, the address,
 * the body's class and id, and the page's contents. The type with the most points wins.
 */
import { Hint } from "./hints.js";
import type { Entity } from "./linked-data.js";
import { TEXT } from "./tags.js";
import type { Node, Tree } from "./tree.js";

export const PAGE_TYPES = ["article", "documentation", "forum", "product", "listing", "collection", "service"] as const;
export type PageType = (typeof PAGE_TYPES)[number];

type Points = Partial<Readonly<Record<PageType, number>>>;

/** Points for schema.org types, in JSON-LD or microdata. */
const SCHEMA: Readonly<Record<string, Points>> = {
  Article: { article: 3 },
  NewsArticle: { article: 4 },
  BlogPosting: { article: 4 },
  ReportageNewsArticle: { article: 4 },
  AnalysisNewsArticle: { article: 4 },
  OpinionNewsArticle: { article: 4 },
  LiveBlogPosting: { article: 4 },
  ScholarlyArticle: { article: 3 },
  Recipe: { article: 3 },
  HowTo: { article: 1, documentation: 1 },
  TechArticle: { documentation: 2, article: 1 },
  APIReference: { documentation: 4 },
  DiscussionForumPosting: { forum: 6 },
  QAPage: { forum: 5 },
  Product: { product: 4 },
  ProductGroup: { product: 4 },
  IndividualProduct: { product: 4 },
  Course: { product: 2 },
  CollectionPage: { listing: 2, collection: 2 },
  ItemList: { listing: 1, collection: 2 },
  OfferCatalog: { collection: 3 },
  SearchResultsPage: { listing: 3 },
  Blog: { listing: 2 },
  Service: { service: 4 },
  ProfessionalService: { service: 2 },
  LocalBusiness: { service: 2 },
  FAQPage: { service: 0.5 },
};

const GENERATORS: readonly (readonly [RegExp, Points])[] = [
  [
    /docusaurus|sphinx|docutils|mkdocs|gitbook|mdbook|doxygen|javadoc|dokuwiki|starlight|vuepress|vitepress|hugo docs|jsdoc|typedoc|readme\.io|asciidoctor|antora|mediawiki/i,
    { documentation: 5 },
  ],
  [/discourse|xenforo|vbulletin|phpbb|flarum|nodebb|invision|vanilla|mybb|smf|fluxbb|punbb/i, { forum: 6 }],
];

/** Points for patterns in an address's path. */
const ADDRESS: readonly (readonly [RegExp, Points])[] = [
  [/^\/?(?:[a-z]{2}(?:[-_][a-z]{2})?\/?)?$/i, { service: 1.5, listing: 1 }],
  [
    /\/(?:blogs?|news|articles?|stories|story|posts?|opinion|magazine|insights|guides?|recipes?|resources|features)\/[^/]*[a-z0-9]/i,
    { article: 2 },
  ],
  [
    /\/(?:blog|news|articles|category|categories|tag|tags|topics?|archive|search|directory|browse|listings?|catalogs?)\/?$|\/(?:category|tag|topics?|browse|search)\//i,
    { listing: 3 },
  ],
  [/\/(?:19|20)\d\d\/\d\d?\//, { article: 2 }],
  [
    /(?:^|\/)(?:docs?|documentation|reference|manual|api|handbook|tutorials?|man|wiki|learn|stable|latest|get-started|library)(?:\/|$)/i,
    { documentation: 2.5 },
  ],
  [
    /(?:^|[/.])(?:forums?|threads?|boards?|discuss(?:ion)?s?|community|talk|questions|viewtopic|showthread|comments|bbs|topic)(?:[/.?]|$)/i,
    { forum: 2.5 },
  ],
  [/\/(?:products?|p|dp|item|itm|ip|pd|listing|store\/detail|shop\/p)\/[^/]/i, { product: 3 }],
  [/\/(?:collections?|c|cat|shop|departments?|women|men|kids|sale)(?:\/[^/]*){0,2}\/?$/i, { collection: 2 }],
  [/\/(?:collections?|best-sellers|product-category|shop\/category)\//i, { collection: 3 }],
  [
    /\/(?:services?|solutions?|pricing|features|platform|about|plans|what-we-do|offers|insurance|practice-areas)(?:[/.-]|$)/i,
    { service: 2.5 },
  ],
];

/** Points for patterns in the body's class and id. */
const BODY: readonly (readonly [RegExp, Points])[] = [
  [/\bsingle-post\b|\bpost-template\b|\btype-article\b|\barticle-page\b/i, { article: 4 }],
  [/\bsingle-product\b|\btemplate-product\b|\bproduct-page\b|\bproduct-detail/i, { product: 5 }],
  [/\btemplate-collection\b|\bproduct-listing|\bcatalog-category|\bpage-category\b/i, { collection: 5 }],
  [/\barchive\b|\bcategory-\w|\bblog\b|\bsearch-results\b/i, { listing: 3 }],
  [/\bpage-template\b|\bpage-id-\d/i, { service: 2 }],
  [/\bquestion-page\b|\bforum\b|\bshowthread\b/i, { forum: 4 }],
  [/\bdocs?\b|\breference\b/i, { documentation: 3 }],
];

/** Contents of a page, counted in one walk. */
export interface Inventory {
  posts: number;
  prices: number;
  codeChars: number;
  headings: number;
  /** `<p>` elements with more than 150 characters of prose. */
  paragraphs: number;
  /** Maximum characters of prose in sibling `<p>` elements, probably an article's body. */
  body: number;
  /** Headings that are links: teasers. */
  linkedHeadings: number;
  /** Texts such as "Add to cart". */
  buys: number;
  /** Characters of prose in comments. */
  comments: number;
  articles: number;
  itemTypes: Set<string>;
  bodyName: string;
}

const PRICE = /(?:[$€£¥₹]|USD|EUR|GBP)\s?\d|\d[\d.,]*\s?(?:€|kr|zł|USD|EUR|GBP)(?![a-z])/;
const BUY =
  /^\s*(?:add to (?:cart|bag|basket|trolley)|buy (?:it )?now|in den warenkorb|ajouter au panier|add to shopping)/i;

export function takeInventory(root: Node): Inventory {
  const found: Inventory = {
    posts: 0,
    prices: 0,
    codeChars: 0,
    headings: 0,
    paragraphs: 0,
    body: 0,
    linkedHeadings: 0,
    buys: 0,
    comments: 0,
    articles: 0,
    itemTypes: new Set(),
    bodyName: "",
  };
  walk(root, found, false);
  return found;
}

function walk(node: Node, found: Inventory, inLink: boolean, inComments = false): void {
  let body = 0;
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) {
      if (child.chars > 0 && child.chars < 40) {
        if (PRICE.test(child.text)) found.prices++;
        if (BUY.test(child.text)) found.buys++;
      }
      continue;
    }
    const { name, heading } = child.tag;
    if (name === "head" || child.skipped) continue;
    if (name === "body") found.bodyName = `${child.className} ${child.id}`;
    else if (name === "pre") found.codeChars += child.chars;
    else if (name === "article") found.articles++;
    else if (name === "p" && child.prose > 150) found.paragraphs++;
    if (name === "p") body += child.prose;
    if (heading > 0 && child.chars > 0) {
      found.headings++;
      if (inLink || child.linkChars > child.chars * 0.8) found.linkedHeadings++;
    }
    if (child.attributes !== null) {
      const type = child.attributes.get("itemtype");
      if (type !== undefined && found.itemTypes.size < 50) found.itemTypes.add(type.slice(type.lastIndexOf("/") + 1));
    }
    if ((child.hints & Hint.Comments) !== 0 && !inComments) found.comments += child.prose;
    if ((child.hints & Hint.Post) !== 0 && child.prose > 60 && child.tag.block) found.posts++;
    if (child.first !== null) {
      walk(child, found, inLink || name === "a", inComments || (child.hints & Hint.Comments) !== 0);
    }
  }
  if (body > found.body && !inComments && !ASIDE.has(node.tag.name)) found.body = body;
}

const ASIDE = new Set(["aside", "footer", "nav"]);

export interface TypeSigns {
  readonly tree: Tree;
  readonly entities: readonly Entity[];
  readonly inventory: Inventory;
  /** Address of the page, "" if unknown. */
  readonly url: string;
}

export function pageTypeOf({ tree, entities, inventory, url }: TypeSigns): PageType {
  const points: Record<PageType, number> = {
    article: 0.5,
    documentation: 0,
    forum: 0,
    product: 0,
    listing: 0.5,
    collection: 0,
    service: 1.5,
  };
  const add = (more: Points, times = 1): void => {
    for (const type of PAGE_TYPES) points[type] += (more[type] ?? 0) * times;
  };
  const seen = new Set<string>();
  let products = 0;
  for (const { types } of entities) {
    for (const type of types) {
      if (type === "Product") products++;
      seen.add(type);
    }
  }
  for (const type of seen) add(SCHEMA[type] ?? {});
  for (const type of inventory.itemTypes) if (!seen.has(type)) add(SCHEMA[type] ?? {}, 0.5);
  if (products > 2) add({ product: -4, collection: 4 });

  for (const head of tree.heads) {
    const name = (head.get("property") || head.get("name")).toLowerCase();
    const content = head.get("content").toLowerCase();
    if (name === "generator") for (const [pattern, more] of GENERATORS) if (pattern.test(content)) add(more);
    if (name === "og:type") {
      if (content === "product.group") add({ collection: 4 });
      else if (content.startsWith("product")) add({ product: 3 });
      else if (content === "article") add({ article: 1 });
    }
    if (name === "article:published_time") add({ article: 1.5 });
    if (name === "product:price:amount") add({ product: 2 });
  }
  const path = url.replace(/^[a-z]+:\/\//i, "").replace(/[#].*$/, "");
  const slash = path.indexOf("/");
  const host = slash < 0 ? path : path.slice(0, slash);
  for (const [pattern, more] of ADDRESS) if (url !== "" && pattern.test(slash < 0 ? "" : path.slice(slash))) add(more);
  if (/^(?:docs?|developers?|learn|devdocs|man|api|wiki|manual)\./i.test(host)) add({ documentation: 2.5 });
  if (
    /^(?:forums?|community|discuss|boards?|bbs|talk|answers|users)\./i.test(host) ||
    /forum|stackexchange|stackoverflow/i.test(host)
  )
    add({ forum: 3 });
  if (/^(?:shop|store)\./i.test(host)) add({ collection: 0.5, product: 0.5 });
  for (const [pattern, more] of BODY) if (pattern.test(inventory.bodyName)) add(more);

  const { root } = tree;
  const prose = root.prose / Math.max(1, root.chars);
  if (inventory.posts >= 6 && prose > 0.3) add({ forum: 2 });
  if (inventory.paragraphs >= 4 && inventory.paragraphs > inventory.headings * 0.8) add({ article: 1 });
  if (inventory.comments > root.prose * 0.8) add({ forum: 2.5 });
  const body = inventory.body / Math.max(1, root.prose);
  if (inventory.body > 1000 && body > 0.4) add({ article: 4, documentation: 3.5 });
  // One text that contains nearly all the prose is what the page is about, whatever it links to.
  if (inventory.body > 400 && body > 0.7) add({ article: 4, documentation: 3.5 });
  if (inventory.codeChars > root.chars * 0.05) add({ documentation: 2 });
  if (inventory.prices >= 12) add({ collection: 2 });
  if (inventory.buys >= 1 && inventory.buys <= 3 && inventory.prices > 0) add({ product: 1.5 });
  if (inventory.buys > 6) add({ collection: 2 });
  if (inventory.linkedHeadings >= 8 && inventory.linkedHeadings > inventory.headings * 0.4)
    add({ listing: 2, collection: 1 });
  if (inventory.articles > 4) add({ listing: 1.5 });
  if (prose > 0.6) add({ article: 1, documentation: 1, forum: 0.5, service: 0.5 });
  if (prose < 0.3) add({ listing: 1, collection: 1, article: -1 });

  let best: PageType = "article";
  for (const type of PAGE_TYPES) if (points[type] > points[best]) best = type;
  return best;
}
