/**
 * @file What an element's class, id and role hint at. Names are split into words (`relatedPosts_x1` → related, posts), and
 * words and pairs of words are looked up; nothing depends on one site's names.
 */
import type { Node } from "./tree.js";

export const Hint = {
  /** Menus, breadcrumbs, page numbers. */
  Navigation: 1,
  /** Head and foot of the site. */
  Chrome: 2,
  /** Sidebars and widgets. */
  Aside: 4,
  /** Sharing and following. */
  Social: 8,
  Advertisement: 16,
  /** Other pages than this one. */
  Related: 32,
  Comments: 64,
  /** Newsletters, sign-up. */
  Subscribe: 128,
  /** Cookie notices. */
  Consent: 256,
  /** What lies over the page. */
  Popup: 512,
  /** Byline, date, tags, counts. */
  Meta: 1024,
  /** Filters, sorting, search, carts, logins: controls. */
  Control: 2048,
  /** Shown to nobody, or only read aloud. */
  Hidden: 4096,
  /** The content itself. */
  Content: 8192,
  /** A member's card beside a post, a signature under it. */
  Member: 16384,
  /** Reviews and ratings. */
  Review: 32768,
  /** A table of contents. */
  Contents: 65536,
  /** A post or comment of a discussion. */
  Post: 131072,
  /** Words under a picture. */
  Caption: 262144,
} as const;

const WORDS: Readonly<Record<string, string>> = {
  Navigation:
    "nav navbar navigation menu submenu megamenu breadcrumb breadcrumbs crumbs crumb pagination paginator pager pagenav " +
    "page-numbers sitemap sidenav subnav topnav navlinks skip-link skiplink skip-to jump-to prev-next post-navigation " +
    "pagenavi next-prev tablist quicklinks",
  Chrome:
    "footer masthead topbar top-bar site-header page-header-nav colophon siteheader sitefooter globalheader globalfooter " +
    "announcement-bar utility-bar copyright legal-footer site-info",
  Aside:
    "sidebar rail widget-area sidebar-widget footer-widget aside secondary-column side-bar right-rail left-rail sidecol rightcol leftcol",
  Social:
    "share sharing shares social socials sharedaddy addthis addtoany follow-us followus social-links sharebar sharethis " +
    "jp-relatedposts like-button share-buttons social-icons social-media",
  Advertisement:
    "ad ads advert adverts advertisement advertising sponsor sponsored sponsors promo promos promotion promobox dfp gpt-ad " +
    "taboola outbrain adsbygoogle adslot ad-slot ad-unit adunit leaderboard-ad banner-ad house-ad affiliate-disclosure",
  Related:
    "related recommended recommendation recommendations recommends recirc recirculation more-stories more-from more-news read-next " +
    "up-next also-like you-may may-like might-like upsell upsells cross-sell crosssell cross-sells crosssells similar " +
    "trending most-read mostread most-popular popular-posts recent-posts latest-posts latest-news recently-viewed recently " +
    "readmore suggested suggestions related-posts related-articles further-reading next-article prev-article teaser-list",
  Comments: "comments comment disqus respond commentlist comment-list comment-form livefyre discussion-section",
  Subscribe:
    "newsletter newsletters subscribe signup sign-up optin opt-in mailing-list mailchimp email-capture lead-form " +
    "klaviyo mc4wp subscribe-form cta-newsletter donate donation paywall-prompt",
  Consent:
    "cookie cookies consent gdpr ccpa onetrust cookiebar cookie-banner cookie-notice privacy-banner truste cookieconsent",
  Popup:
    "modal modals popup popups popover overlay lightbox drawer offcanvas off-canvas toast tooltip tooltips dialog snackbar " +
    "dropdown-menu flyout interstitial",
  Meta:
    "byline dateline post-meta entry-meta article-meta meta metadata postmeta tags taglist tag-list tagcloud tags-links cat-links " +
    "post-tags entry-footer author-bio author-box authorbox about-author author-info author-card bio post-footer published-date " +
    "timestamp reading-time read-time post-categories editsection mw-editsection print-only last-updated edit-page edit-this " +
    "headerlink permalink photo-credit image-credit credit credits",
  Control:
    "filter filters facet facets facet-list sort sorting sort-by sortby toolbar searchform search-form searchbar search-box searchbox " +
    "login log-in signin sign-in minicart mini-cart cart-drawer basket wishlist add-to-cart addtocart quantity qty swatches " +
    "language-switcher lang-switcher locale-selector country-selector currency quick-view quickview quickreply quick-reply reply-form " +
    "actions action-bar actionbar controls buttons button-group btn-group feedback was-helpful helpful rate-this copy-button " +
    "zoom slick-arrow carousel-control captcha recaptcha",
  Hidden:
    "sr-only visually-hidden visuallyhidden screen-reader-text screen-reader screenreader a11y-hidden offscreen noprint " +
    "no-print assistive-text u-hidden d-none hidden-accessible",
  Content:
    "content user-content article articlebody article-body entry entry-content post-content post-body story storybody story-body body-copy " +
    "bodycopy main maincontent main-content page-content prose markdown markdown-body rte richtext rich-text wysiwyg text-content " +
    "article-content articlecontent post-text blog-content blogpost blog-post product-description description mw-parser-output " +
    "docs-content doc-content document documentation body-content single-content theme-doc-markdown",
  Member:
    "signature signatures userinfo user-info userdetails user-details message-user postprofile poster-info author-info userpanel " +
    "user-panel usercard user-card member-card postbit-userinfo avatar avatars user-title usertitle user-stats userstats " +
    "user-extras author-pane authorpane author-stats reputation badges postercell user-gravatar message-signature post-signature " +
    "signaturecontainer user-avatar message-avatar badge-list",
  Review: "review reviews rating ratings stars star-rating bazaarvoice yotpo customer-reviews judgeme",
  Contents: "toc table-of-contents tableofcontents on-this-page contents-list page-toc in-page-nav onthispage inpage",
  Caption:
    "caption captions figcaption image-caption img-caption wp-caption wp-caption-text photo-caption media-caption gallery slideshow " +
    "carousel photo-credit image-credit imagecredit picture-caption video-caption lightbox-caption",
  Post:
    "post posts message messages reply replies answer answers question thread threads topic postbody post-container messagebody " +
    "message-body commenttext comment-body comment-content usertext",
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

/** Longer lists of names are machine-made; their first part tells as much. */
const LONGEST = 300;

/** Bits for one class or id attribute. */
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
    // A pair does not reach over two names; `:` and `[` belong to layout classes such as `md:hidden`.
    if (c === 0x20 || c === 0x0a || c === 0x09) before = "";
  }
  return bits;
}

/** Bits for an element; `cache` holds the names already split on this page. */
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
