import { describe, expect, it } from "vitest";
import { extract } from "../../../src/data/extract/extract.js";
import { markdown, pageWith, plain } from "./page.js";

const katex = (tex: string, drawn: string) =>
  `<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>E</mi></mrow><annotation encoding="application/x-tex">${tex}</annotation></semantics></math></span><span class="katex-html" aria-hidden="true"><span class="base">${drawn}</span></span></span>`;
const math = (inner: string) => plain(`<p>So <math>${inner}</math> holds.</p>`);

describe("mathematics with TeX source", () => {
  it.each([
    ["inline KaTeX", `<p>Energy ${katex("E = mc^2", "E=mc2")} is.</p>`, "Energy $E = mc^2$ is."],
    [
      "KaTeX displayed",
      `<p>See</p><span class="katex-display">${katex("\\int_0^1 x\\,dx", "drawn")}</span>`,
      "See\n\n$$\\int_0^1 x\\,dx$$",
    ],
    [
      "MathJax 2 in a line",
      '<p>Let <span class="MathJax_Preview">x</span><span class="MathJax" id="m1">drawn</span><script type="math/tex" id="m1">a_i < b</script> hold.</p>',
      "Let $a_i < b$ hold.",
    ],
    [
      "MathJax 2 displayed",
      '<p>Let</p><div class="MathJax_Display"><span class="MathJax">drawn</span></div><script type="math/tex; mode=display">\\sum_i x_i</script>',
      "Let\n\n$$\\sum_i x_i$$",
    ],
    [
      "MathJax 3 with its assistive copy",
      '<p>So <mjx-container class="MathJax" jax="CHTML"><mjx-math aria-hidden="true"><mjx-mi>q</mjx-mi></mjx-math><mjx-assistive-mml><math><msup><mi>x</mi><mn>2</mn></msup></math></mjx-assistive-mml></mjx-container> holds.</p>',
      "So $x^2$ holds.",
    ],
    [
      "MediaWiki",
      '<p>Then <span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;"><math><semantics><mi>a</mi><annotation encoding="application/x-tex">{\\displaystyle a^{2}+b^{2}}</annotation></semantics></math></span><img src="https://wikimedia.org/api/rest_v1/media/math/render/svg/abc" class="mwe-math-fallback-image-inline" aria-hidden="true" alt="{\\displaystyle a^{2}+b^{2}}"></span> holds.</p>',
      "Then $a^{2}+b^{2}$ holds.",
    ],
    [
      "an image of WordPress",
      '<p>Thus <img src="https://s0.wp.com/latex.php?latex=x%5E2" alt="x^2" class="latex"> grows.</p>',
      "Thus $x^2$ grows.",
    ],
    [
      "the alttext attribute of LaTeXML",
      '<p>Here <math alttext="\\frac{a}{b}"><mi>a</mi></math> is.</p>',
      "Here $\\frac{a}{b}$ is.",
    ],
    ["raw TeX in the text", "<p>Raw \\(x_1 + y\\) and $$z$$ stay.</p>", "Raw \\(x_1 + y\\) and $$z$$ stay."],
    ["an image that is not a formula", '<p>No <img src="cat.png" alt="a cat"> formula.</p>', "No formula."],
  ])("%s", (_, body, expected) => {
    expect(plain(body)).toBe(expected);
    expect(markdown(body)).toBe(expected);
  });
});

describe("MathML as TeX", () => {
  it.each([
    ["a fraction", "<mfrac><mn>1</mn><mn>2</mn></mfrac>", "\\frac{1}{2}"],
    ["a binomial", '<mfrac linethickness="0"><mi>n</mi><mi>k</mi></mfrac>', "\\binom{n}{k}"],
    ["a power", "<msup><mi>x</mi><mrow><mn>1</mn><mn>0</mn></mrow></msup>", "x^{10}"],
    ["an index and a power", "<msubsup><mi>y</mi><mn>1</mn><mn>2</mn></msubsup>", "y_1^2"],
    [
      "roots",
      "<mroot><mi>x</mi><mn>3</mn></mroot><mo>+</mo><msqrt><mi>y</mi><mo>+</mo><mn>1</mn></msqrt>",
      "\\sqrt[3]{x}+\\sqrt{y+1}",
    ],
    [
      "a sum",
      "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><msub><mi>α</mi><mi>i</mi></msub>",
      "\\sum_{i=1}^n\\alpha_i",
    ],
    [
      "a limit and a function",
      "<munder><mi>lim</mi><mrow><mi>n</mi><mo>→</mo><mi>∞</mi></mrow></munder><mi>sin</mi><mi>x</mi>",
      "\\lim_{n\\to\\infty}\\sin x",
    ],
    ["a hat and a relation", "<mover><mi>x</mi><mo>^</mo></mover><mo>≤</mo><mi>π</mi>", "\\hat{x}\\leq\\pi"],
    [
      "a matrix",
      "<mo>(</mo><mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr><mtr><mtd><mi>c</mi></mtd><mtd><mi>d</mi></mtd></mtr></mtable><mo>)</mo>",
      "(\\begin{matrix}a & b \\\\ c & d\\end{matrix})",
    ],
    ["words", "<mi>x</mi><mtext> if </mtext><mi>y</mi>", "x\\text{ if }y"],
    ["a prime", "<msup><mi>f</mi><mo>′</mo></msup>", "f'"],
    ["sets", '<mi>x</mi><mo>∈</mo><mi mathvariant="double-struck">R</mi>', "x\\in\\mathbb{R}"],
    ["characters special to TeX", "<mn>5</mn><mo>%</mo>", "5\\%"],
  ])("%s", (_, inner, tex) => {
    expect(math(inner)).toBe(`So $${tex}$ holds.`);
  });

  it("writes a display formula on its own line", () => {
    expect(plain('<p>Now</p><math display="block"><mi>x</mi><mo>=</mo><mn>1</mn></math>')).toBe("Now\n\n$$x=1$$");
  });

  it("limits the depth of formulas", () => {
    const deep = `${"<msqrt>".repeat(5000)}<mi>x</mi>${"</msqrt>".repeat(5000)}`;
    expect(extract(pageWith(`<p><math>${deep}</math></p>`)).text).toContain("\\sqrt{\\sqrt{");
  });
});
