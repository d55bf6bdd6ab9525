/**
 * @file Hints about an element's purpose from its class, id and role. Names are split into words (`relatedPosts_x1` →
 * related, posts), and words and pairs of words are looked up. No rule is specific to one site.
 */
import type { Node } from "./tree.js";

export const Hint = {
  /** Menus, breadcrumbs, page numbers. */
  Navigation: 1,
  /** Header and footer of the site. */
  Chrome: 2,
  /** Sidebars and widgets. */
  Aside: 4,
  /** Buttons for sharing and following. */
  Social: 8,
  Advertisement: 16,
  /** Links to other pages. */
  Related: 32,
  Comments: 64,
  /** Newsletters, sign-up. */
  Subscribe: 128,
  /** Cookie notices. */
  Consent: 256,
  /** Dialogs and overlays. */
  Popup: 512,
  /** Byline, date, tags, counts. */
  Meta: 1024,
  /** Controls: filters, sorting, search, carts, logins. */
  Control: 2048,
  /** Invisible, or only for screen readers. */
  Hidden: 4096,
  /** The content itself. */
  Content: 8192,
  /** A forum member's card or signature. */
  Member: 16384,
  /** Reviews and ratings. */
  Review: 32768,
  /** A table of contents. */
  Contents: 65536,
  /** A post or comment of a discussion. */
  Post: 131072,
  /** A picture's caption. */
  Caption: 262144,
} as const;

const WORDS: Readonly<Record<string, string>> = {
  Navigation:
    "nav navbar navigation menu submenu megamenu breadcrumb breadcrumbs crumbs crumb pagination pager sitemap " +
    "subnav navlinks skip-link skip-to jump-to prev-next tablist",
  Chrome: "footer masthead topbar top-bar site-header globalfooter copyright site-info",
  Aside: "sidebar rail widget-area footer-widget aside side-bar",
  Social: "share sharing shares social socials followus",
  Advertisement:
    "ad ads advert adverts advertisement advertising sponsor sponsored sponsors promo promos promotion taboola " +
    "outbrain adsbygoogle",
  Related:
    "related recommended recommendation recommendations recommends recirc recirculation read-next upsell " +
    "upsells cross-sell cross-sells similar trending most-read most-popular popular-posts recent-posts " +
    "latest-posts latest-news readmore suggested suggestions next-article prev-article",
  Comments: "comments comment disqus commentlist",
  Subscribe: "newsletter newsletters subscribe signup sign-up opt-in mailing-list donate donation",
  Consent: "cookie cookies consent gdpr ccpa onetrust privacy-banner",
  Popup:
    "modal modals popup popups popover overlay lightbox drawer offcanvas toast tooltip tooltips dialog snackbar " +
    "flyout",
  Meta:
    "byline dateline meta metadata tags taglist tag-list tagcloud author-box author-info author-card bio " +
    "timestamp reading-time read-time editsection last-updated permalink credit credits",
  Control:
    "filter filters facet facets sort sorting sortby toolbar login log-in signin sign-in basket wishlist " +
    "addtocart quantity qty swatches currency quick-view quickview actions action-bar controls buttons " +
    "btn-group feedback helpful zoom captcha recaptcha",
  Hidden: "sr-only visually-hidden visuallyhidden screen-reader screenreader offscreen noprint u-hidden d-none",
  Content: "content article entry story main prose markdown description document",
  Member:
    "signature signatures userinfo user-info userdetails user-details message-user postprofile poster-info author-info " +
    "user-card member-card avatar avatars user-title usertitle user-stats author-pane author-stats reputation badges",
  Review: "review reviews rating ratings stars yotpo",
  Contents: "toc inpage",
  Caption: "caption captions figcaption gallery slideshow carousel photo-credit image-credit",
  Post:
    "post posts message messages reply replies answer answers question thread threads topic postbody " +
    "comment-body comment-content",
};

const table = new Map<string, number>();
for (const [name, list] of Object.entries(WORDS)) {
  for (const word of list.split(" ")) table.set(word, (table.get(word) ?? 0) | Hint[name as keyof typeof Hint]);
}

const ROLES = new Map<string, number>([
  ["navigation", Hint.Navigation],
  ["menu", Hint.Navigation],
  ["menubar", Hint.Navigation],
  ["tablist", Hint.Control],
  ["toolbar", Hint.Control],
  ["search", Hint.Control],
  ["banner", Hint.Chrome],
  ["contentinfo", Hint.Chrome],
  ["complementary", Hint.Aside],
  ["dialog", Hint.Popup],
  ["alertdialog", Hint.Popup],
  ["tooltip", Hint.Popup],
  ["main", Hint.Content],
  ["article", Hint.Content],
]);

/** Characters read of a class attribute; longer ones are machine-generated. */
const LONGEST = 300;

/** Returns the hint bits of one class or id attribute. */
export function hintsOfName(name: string): number {
  let bits = 0;
  let before = "";
  const words = (name.length > LONGEST ? name.slice(0, LONGEST) : name)
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase();
  let start = -1;
  for (let i = 0; i <= words.length; i++) {
    const c = i < words.length ? words.charCodeAt(i) : 0x20;
    const letter = (c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39);
    if (letter) {
      if (start < 0) start = i;
      continue;
    }
    if (start >= 0) {
      const word = words.slice(start, i);
      start = -1;
      bits |= table.get(word) ?? 0;
      if (before !== "") bits |= table.get(before + "-" + word) ?? 0;
      before = word;
    }
    // A pair of words must be within one name. Whitespace separates names; `:` and `[` do not (`md:hidden`).
    if (c === 0x20 || c === 0x0a || c === 0x09) before = "";
  }
  return bits;
}

/** Returns the hint bits of an element; `cache` maps the names already seen on this page to their bits. */
export function hintsOf(node: Node, cache: Map<string, number>): number {
  let bits = 0;
  for (const name of [node.className, node.id]) {
    if (name === "") continue;
    let own = cache.get(name);
    if (own === undefined) {
      own = hintsOfName(name);
      cache.set(name, own);
    }
    bits |= own;
  }
  if (node.attributes !== null) {
    const role = node.attributes.get("role");
    if (role !== undefined) bits |= ROLES.get(role.toLowerCase()) ?? 0;
  }
  return bits;
}
