/**
 * @file Words by which pages head what is not their content ("You may also like"), and what their buttons and notes say
 * ("Click to expand…"). Matched against whole short lines only, in lower case, so that prose is never touched.
 */
import type { PageType } from "./page-type.js";

/** Heads of sections that lead elsewhere, on any type of page. */
const ELSEWHERE = new RegExp(
  `^(?:${[
    "related(?: (?:articles?|posts?|stories|products?|topics?|content|reading|news|links|searches|items|coverage|resources|threads|pages|blogs?|guides|videos|questions|discussions))?",
    "(?:read|see|explore|discover|view|find|get|show|watch) (?:more|next|also)(?: .{0,30})?",
    "more (?:from|stories|news|articles|like this|topics|posts|to (?:read|explore|discover)|reading|resources|for you|great|top|in |on |by ).{0,40}",
    "(?:you|we think you) ?(?:may|might|could|will|'ll|’ll) (?:also )?(?:like|love|enjoy|need|be interested.*)(?: .{0,20})?",
    "(?:also|others|people|customers|shoppers|members|visitors|users|guests)(?: (?:also|who|that|have))+ .{3,40}",
    "(?:what|this is what) customers .{3,40}",
    "recommended(?: (?:for you|articles|posts|reading|products|stories|by .{0,20}|videos))?|recommendations?|our recommendations",
    "suggested (?:topics|reading|posts|articles|for you)|similar (?:items|products|topics|posts|articles|threads|questions|listings|content)",
    "(?:frequently|often) bought (?:together|with).*|complete (?:the|your) (?:look|set|outfit).*|pairs? well with|goes (?:well|great) with|shop (?:the look|similar).*",
    "recently viewed.*|your recently viewed.*|compare (?:with )?similar.*|inspired by your .*|sponsored(?: products| content| links)?|advertisements?|from our (?:partners|sponsors)",
    "(?:latest|recent|popular|top|featured|other|new|newest|all|our latest|trending|hot) (?:news|posts|articles|stories|comments|blogs?|entries|headlines|topics|videos|threads|discussions|blog posts)",
    "most (?:read|popular|viewed|commented|shared|recent).*|trending(?: (?:now|today|stories|topics))?|top stories.*|editors?['’]?s? (?:picks?|choice)|don['’]t miss.*|in case you missed it|must[- ]reads?|what to read next|up next|next up|keep reading|further stories|continue reading",
    "(?:follow|connect with|find|join) us(?: on .*| at .*)?|share(?: (?:this|on|via|article|post|story|page|with .{0,20}))*:?|spread the word|stay (?:connected|in touch|up to date|informed|updated).*",
    "(?:subscribe|sign up|join|register)(?: (?:to|for|now|today|our|the|and|here|free)\\b.{0,60})?|(?:our |free |weekly |daily )*(?:e-?)?newsletters?(?: .{0,30})?|get (?:the|our) (?:latest|newsletter|best).{0,50}|never miss .{0,40}|get .{3,30} in your inbox",
    "(?:leave|post|add|write|submit) (?:a|your) (?:reply|comment|response|review).*|join the (?:discussion|conversation)|cancel reply|login to comment.*",
    "about the (?:author|writer)s?|author bio|meet the author|written by|our editorial .*",
    "(?:tags?|filed under|categories|posted in|topics|tagged(?: in| with)?):?(?: .{0,60})?",
    "previous (?:post|article|story|topic)|next (?:post|article|story|topic)|(?:previous|next)",
    "(?:your |this site.{0,20}|manage |about )?(?:privacy preference|cookies?|consent) (?:preferences?|center|settings|policy|notice|consent|list)?.{0,20}|privacy preference center|we (?:value|respect|care about) your privacy",
    "who(?:['’]s| is) (?:online|viewing).*|users (?:browsing|who are viewing).*|(?:top|popular) (?:posters|contributors).*|similar threads|share options",
    "(?:beliebte|ähnliche|verwandte) .{3,30}|das könnte .{3,40}|mehr (?:zum thema|aus).*|(?:articles?|produits?) (?:similaires|liés|associés|recommandés)|vous aimerez.{0,30}|à lire (?:aussi|également).*|sur le même (?:sujet|thème)|(?:artículos|noticias|productos|entradas) relacionad[oa]s|también te puede.*|leia (?:mais|também).*|veja (?:também|mais).*|notícias relacionadas|leggi anche.*|potrebbe(?:ro)? .{3,30}|lees ook.*|関連記事|関連商品|人気記事|おすすめ.{0,10}|相关(?:文章|阅读|推荐)|推荐阅读|관련 ?(?:기사|글)|читайте также.*|похожие .{3,30}",
  ].join("|")})\\s*[:.…>»→]*$`,
  "iu",
);

const REVIEWS =
  /^(?:(?:customer|product|user|our|all|top|latest|verified|[\d.,]+) )*(?:reviews?|ratings?|testimonials)(?: (?:&|and) (?:ratings?|reviews?))?(?: (?:for|from|of|\().*)?(?: ?\(?[\d.,k]+\)?)?$|^what (?:people|customers|our customers|others) (?:are saying|say|think).*$|^questions? (?:&|and) answers?$|^rating (?:snapshot|breakdown|overview)$/i;
const COMMENTS =
  /^(?:[\d.,]+ )?(?:comments?|responses?|replies|thoughts? on .*|réactions|commentaires|kommentare|comentarios|comentários)(?: ?\(?[\d.,]+\)?)?$/i;
const CONTENTS =
  /^(?:table of contents|contents|in this (?:article|post|guide|story|issue)|on this page|jump to.*|quick (?:links|navigation)|what['’]s (?:inside|in this).*|inhalt(?:sverzeichnis)?|sommaire|índice)$/i;

/** True for a line that heads a section which is no content of such a page. */
export function headsOther(line: string, type: PageType): boolean {
  if (type === "listing" || type === "collection" || type === "service")
    return COMMON.test(line) || (type === "collection" && REVIEWS.test(line));
  if (ELSEWHERE.test(line)) return true;
  if (type === "article" || type === "documentation")
    return COMMENTS.test(line) || (type === "article" && CONTENTS.test(line));
  if (type === "product") return REVIEWS.test(line);
  return false;
}

/** What even lists of other pages do not want. */
const COMMON =
  /^(?:(?:follow|connect with|join) us.*|share(?: this| on)?:?|recently viewed.*|subscribe(?: to .*)?|(?:our )?newsletter|sign up (?:for|to) .*|advertisements?|sponsored|privacy preference center|manage consent preferences|related searches.*|leave a (?:reply|comment).*)$/i;

const CONTROL = new RegExp(
  `^(?:${[
    "click (?:here )?to (?:expand|enlarge|view|reveal|copy|share|tweet|zoom|read more).*|(?:show|see|view|read|load|learn|find out|discover|continue) (?:more|less|all|full.{0,20}|reading|details|results|answer)(?: ?[»›>→….]+)?|expand|collapse(?: all)?|expand all|toggle .{3,30}",
    "(?:code: )?select all|copy(?: (?:code|link|to clipboard|text|url|page))?|copied!?|reply(?: with quote| to this(?: topic| message)?)?|quote|report(?: (?:post|this|abuse|ad|comment))?|like|likes?|share|save|print(?: this)?(?: page)?|bookmark|edit|permalink|link|top|back to top|go to top|jump to (?:content|top|latest|navigation)|skip to .{3,40}|follow|unfollow|subscribe|flag|thanks|upvote|downvote|parent|delete|add a comment|add comment|leave a comment|log ?in(?: or .{3,20})?|sign ?in|sign ?up|register|create account|menu|search|close|cancel|submit|next|previous|prev|back|home|more|go|ok|yes|no|share options|listen|play|pause|mute|advertisement|ad|sponsored|loading[.…]*|please wait[.…]*|original poster",
    "add to (?:cart|bag|basket|trolley|wish ?list|favou?rites|list|compare|registry)|buy (?:it )?now|checkout|view (?:cart|bag|basket)|quantity:?|qty:?|size guide|size chart|notify me.{0,40}|out of stock|in stock|sold out|quick (?:view|shop|add|look|buy)|select (?:size|options?|colou?r|a size)|choose (?:an? )?options?|write a review|be the first to .{3,40}|was this (?:helpful|article helpful|page helpful|information helpful|review helpful|answer helpful)\\??.{0,20}|yes no|helpful\\??|zoom|previous slide|next slide|slide \\d+.{0,10}|enlarge(?: image)?|image \\d+ of \\d+|hover to zoom|sort by:?.{0,30}|filter(?: by)?|filters|clear all|apply|refine(?: by)?|reset",
    "(?:all )?(?:images?|photos?|pictures?) (?:credit|courtesy|by|via|:).{0,60}|\\d+ (?:min(?:ute)?s?) read|reading time:? .{1,20}|share this (?:article|post|page|story).{0,20}|opens? in (?:a )?new (?:window|tab)",
    "(?:story continues|article continues|continue reading) (?:below|after).{0,30}|scroll (?:down )?(?:to|for) .{3,30}|(?:©|\\(c\\)|copyright).{0,120}|.{0,60}all rights reserved\\.?.{0,40}",
  ].join("|")})$`,
  "iu",
);

/** True for a line that only a person at the page can use: a button, a hint, a notice of rights. */
export const isControl = (line: string): boolean => CONTROL.test(line);

const NOTICE =
  /\b(?:we|site|website|page|our partners|you accept|you agree)\b[^.]{0,80}\bcookies?\b|\bcookies?\b[^.]{0,60}\b(?:experience|analy[sz]e|preferences|consent|personali[sz]e)|please (?:enable|turn on) javascript|javascript (?:is|must be|seems to be) (?:disabled|enabled|required)|your browser (?:does not|doesn't|is (?:out of date|not supported))|protected by recaptcha/i;

/** True for a notice about cookies or browsers. */
export const isNotice = (line: string): boolean => NOTICE.test(line);

const DATE =
  "(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,? )?(?:\\d{1,2}(?:st|nd|rd|th)? (?:of )?)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\\.? (?:\\d{1,2}(?:st|nd|rd|th)?,? )?\\d{2,4}|\\d{1,4}[./-]\\d{1,2}[./-]\\d{1,4}";
const BYLINE = new RegExp(
  `^(?:(?:first |last |originally )?(?:published|updated|posted|modified|created)(?: (?:on|at|by))?\\b.{0,80}\\d.{0,40}|(?:by|von|par|por|di|oleh) .{2,60}(?:${DATE}).{0,40}|(?:by|from) [^.!?]{2,50}|(?:${DATE})[^a-z]{0,12}(?:[ap]\\.?m\\.?|gmt|utc|e[sd]?t|c[sd]?t|p[sd]?t|ist|bst|cet|min(?:utes?)? read|[\\s|•·,-]|\\d|[+:])*|(?:source|sources|via|photo|image|picture|credit)s? ?: .{2,60}|.{2,40} (?:${DATE}),? \\d{1,2}:\\d\\d ?(?:[ap]m)?.{0,10})$`,
  "i",
);

/** True for a line that only tells who wrote and when. */
export const isByline = (line: string): boolean => BYLINE.test(line);
