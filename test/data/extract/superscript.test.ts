import { describe, expect, it } from "vitest";
import { extract } from "../../../src/data/extract/extract.js";
import { markdown, pageWith, plain } from "./page.js";

describe("superscripts and subscripts", () => {
  it.each([
    ["10<sup>6</sup> grains", "10⁶ grains"],
    ["10<sup>-6</sup> m", "10⁻⁶ m"],
    ["10<sup>&minus;6</sup> m", "10⁻⁶ m"],
    ["3 km<sup>2</sup>", "3 km²"],
    ["H<sub>2</sub>O and Ca<sup>2+</sup>", "H₂O and Ca²⁺"],
    ["SO<sub>4</sub><sup>2-</sup>", "SO₄²⁻"],
    ["<sup>14</sup>C", "¹⁴C"],
    ["2<sup>n</sup> and 2<sup>n+1</sup>", "2ⁿ and 2ⁿ⁺¹"],
    ["2<sup><i>k</i></sup>", "2^k"],
    ["e<sup>-x/2</sup>", "e^(-x/2)"],
    ["10<sup>0.5</sup>", "10^0.5"],
    ["A<sup>T</sup>B", "A^TB"],
    ["x<sub>i</sub> and V<sub>max</sub>", "x_i and V_max"],
    ["x<sub>i+1</sub>", "x_(i+1)"],
    ["log<sub>10</sub> 7", "log₁₀ 7"],
    // Text raised by typographic convention stays unchanged.
    ["the 1<sup>st</sup> and the 22<sup>nd</sup>", "the 1st and the 22nd"],
    ["XIX<sup>e</sup> siècle, M<sup>me</sup>, n<sup>o</sup> 3, 1<sup>er</sup>", "XIXe siècle, Mme, no 3, 1er"],
    ["Quern<sup>TM</sup> and Quern<sup>®</sup>", "QuernTM and Quern®"],
    ["a word<sup>new</sup>", "a wordnew"],
    ["a price<sup>*</sup> and a name<sup>†</sup>", "a price* and a name†"],
    ["<sub>Picture by Ann Ash</sub>", "Picture by Ann Ash"],
    // Footnote marks.
    ['said so.<sup><a href="#fn1">1</a></sup> Then', "said so.[1] Then"],
    ['in 1995<a href="#n2"><sup>2</sup></a>', "in 1995[2]"],
    ['said so.<sup class="reference"><a href="#c-1">[1]</a></sup>', "said so.[1]"],
    ["said so.<sup>3</sup> Then", "said so.³ Then"],
    ['a cell<sup><a href="#note-a">a</a></sup>', "a cell[a]"],
    ["said so.<sup>1,2</sup>", "said so.¹,²"],
    // Fractions and prices.
    ["3<sup>1</sup>/<sub>2</sub> cups", "3 1/2 cups"],
    ["<sup>3</sup>&frasl;<sub>4</sub> cup", "3⁄4 cup"],
    ["for $19<sup>99</sup> today", "for $19.99 today"],
  ])("%s", (html, want) => {
    expect(plain(`<p>So ${html}</p>`)).toBe(`So ${want}`);
    expect(markdown(`<p>So ${html}</p>`)).toBe(`So ${want}`);
  });

  it("are converted in headings, cells, emphasis and code", () => {
    expect(markdown("<h2>CO<sub>2</sub></h2><p>It is</p>")).toBe("## CO₂\n\nIt is");
    expect(markdown("<p>So <b>10<sup>6</sup></b> are</p>")).toBe("So **10⁶** are");
    expect(markdown("<p>So <code>x<sup>2</sup></code> is</p>")).toBe("So `x²` is");
    expect(
      plain("<table><tr><th>m<sup>2</sup></th><th>n</th></tr><tr><td>10<sup>3</sup></td><td>1</td></tr></table>"),
    ).toBe("m² | n\n10³ | 1");
    expect(extract(`<h1>About CO<sub>2</sub></h1>${pageWith("").replace(/<title>.*<\/title>/, "")}`).title).toBe(
      "About CO₂",
    );
  });
});

describe("ruby", () => {
  it("keeps the base text and removes the annotations, whichever tags are closed", () => {
    for (const html of [
      "<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rp>(</rp><rt>じ</rt><rp>)</rp></ruby>",
      "<ruby>漢<rt>かん</rt>字<rt>じ</rt></ruby>",
      "<ruby><rb>漢<rb>字<rt>かん<rt>じ</ruby>",
      "<ruby><rb>漢字</rb><rtc><rt>かん</rt><rt>じ</rt></rtc></ruby>",
    ]) {
      expect(plain(`<p>これは${html}です。</p>`)).toBe("これは漢字です。");
      expect(markdown(`<p>これは${html}です。</p>`)).toBe("これは漢字です。");
    }
    expect(plain("<h3><ruby>東京<rt>とうきょう</ruby>の話</h3><p>x</p>")).toBe("東京の話\n\nx");
  });
});
