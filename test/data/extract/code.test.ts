import { describe, expect, it } from "vitest";
import { markdown, plain } from "./page.js";

describe("code", () => {
  it.each([
    ["keeps spaces and lines", "<pre>  two\n    four\n</pre>", "```\n  two\n    four\n```"],
    [
      "the language class of the code element",
      '<pre><code class="language-js">a()\nb()</code></pre>',
      "```js\na()\nb()\n```",
    ],
    [
      "the language class of GitHub",
      '<div class="highlight highlight-source-js"><pre><span class="k">const</span> a = 1;</pre></div>',
      "```js\nconst a = 1;\n```",
    ],
    ["a language in a data attribute", '<pre data-lang="rust">fn main() {}</pre>', "```rust\nfn main() {}\n```"],
    ["ignores plaintext as a language", '<pre><code class="language-plaintext">x</code></pre>', "```\nx\n```"],
    [
      "removes line numbers",
      '<pre class="lang-py"><code><span class="line-number">1</span>import os\n<span class="line-number">2</span>print(1)</code></pre>',
      "```py\nimport os\nprint(1)\n```",
    ],
    [
      "removes a column of line numbers",
      '<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>1\n2</pre></div></td><td class="code"><div class="highlight"><pre>x = 1\ny = 2</pre></div></td></tr></table>',
      "```\nx = 1\ny = 2\n```",
    ],
    ["lines in blocks", '<pre><code><div class="line">a</div><div class="line">b</div></code></pre>', "```\na\nb\n```"],
    ["lines ended by br", "<pre>a<br>b<br>c</pre>", "```\na\nb\nc\n```"],
    [
      "removes its button",
      '<pre><button>Copy</button><code class="hljs language-rust">fn main() {}</code></pre>',
      "```rust\nfn main() {}\n```",
    ],
    ["code that contains fences", "<pre><code>```\ninner\n```</code></pre>", "````\n```\ninner\n```\n````"],
    ["inline code", "<p>Call <code>f(x)</code> and <code>a`b</code> now.</p>", "Call `f(x)` and ``a`b`` now."],
    ["several lines without pre", "<p><code>one\ntwo\nthree</code></p>", "```\none\ntwo\nthree\n```"],
    ["entities", "<pre>a &lt; b &amp;&amp; c</pre>", "```\na < b && c\n```"],
    ["empty code", "<pre>\n  \n</pre>", ""],
  ])("%s", (_, body, expected) => {
    expect(markdown(body)).toBe(expected);
  });

  it("is verbatim in plain text", () => {
    expect(plain('<pre class="language-c">int  a;\n\tb();</pre>')).toBe("int  a;\n\tb();");
    expect(plain("<p>Call <code>f(x)</code> now.</p>")).toBe("Call f(x) now.");
  });
});
