/** @file A web site on loopback with what makes crawling hard: traps, errors, slow pages, redirects, refusals. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

export interface Site {
  readonly url: string;
  /** Paths in the order in which they were asked for. */
  readonly asked: string[];
  readonly agents: Set<string>;
  close(): Promise<void>;
}

const page = (title: string, body: string, head = "") =>
  `<!doctype html><html lang="en"><head><title>${title}</title>${head}</head><body><h1>${title}</h1>${body}</body></html>`;
const link = (path: string, more = "") => `<a href="${path}" ${more}>${path}</a>`;
const prose = (seed: string) =>
  `<p>${Array.from({ length: 30 }, (_, i) => `Sentence ${i} of ${seed} tells a small part of a longer story.`).join(" ")}</p>`;

export async function startSite(): Promise<Site> {
  const asked: string[] = [];
  const agents = new Set<string>();
  let failures = 0;
  const server: Server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://site");
    const path = url.pathname;
    asked.push(request.url ?? "/");
    agents.add(request.headers["user-agent"] ?? "");
    const html = (text: string, headers: Record<string, string | string[]> = {}) => {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...headers });
      response.end(text);
    };
    const redirect = (to: string) => response.writeHead(302, { location: to }).end();
    const numbered = /^\/story\/(\d+)$/.exec(path);
    if (numbered) return html(page(`Story ${numbered[1]}`, prose(`story ${numbered[1]}`)));
    if (path.startsWith("/calendar/")) {
      const [, , year, month] = path.split("/").map(Number);
      const next = month === 12 ? `/calendar/${year + 1}/1` : `/calendar/${year}/${month + 1}`;
      return html(page(path, link(next)));
    }
    if (path === "/search") {
      const q = url.searchParams.get("q") ?? "";
      return html(page(`Found ${q}`, link(`/search?q=${q}a`) + link(`/search?q=${q}b`)));
    }
    if (path.startsWith("/deep/")) return html(page(path, link(`${path}a/b/`)));
    switch (path) {
      case "/robots.txt":
        response.writeHead(200, { "content-type": "text/plain" });
        return response.end(
          `User-agent: *\nDisallow: /private/\nAllow: /private/open\nSitemap: ${base()}/sitemap.xml\n\nUser-agent: badbot\nDisallow: /\n`,
        );
      case "/sitemap.xml":
        response.writeHead(200, { "content-type": "application/xml" });
        return response.end(
          `<?xml version="1.0"?><sitemapindex><sitemap><loc>${base()}/more.xml.gz</loc></sitemap></sitemapindex>`,
        );
      case "/more.xml.gz":
        response.writeHead(200, { "content-type": "application/gzip" });
        return response.end(gzipSync(`<urlset><url><loc>${base()}/only-in-sitemap</loc></url></urlset>`));
      case "/":
        return html(
          page(
            "Home",
            [
              ...[1, 2, 3].map((i) => `/story/${i}`),
              "/story/1#end",
              "/story/2?utm_source=x",
              ...["/private/secret", "/private/open", "/missing", "/broken", "/flaky", "/loop/a", "/moved", "/inside"],
              ...["/calendar/2026/11", "/search?q=", "/deep/", "/noindex", "/noai", "/nofollow", "/header-noindex"],
              ...["/packed", "/chunked", "/big", "/image.png", "/copy", "/plain.txt", "/latin1"],
              "file:///etc/passwd",
              "mailto:a@b.c",
              "http://elsewhere.invalid/",
            ]
              .map((path) => link(path))
              .join(" ") + link("/followed-by-nobody", 'rel="nofollow"'),
          ),
        );
      case "/only-in-sitemap":
      case "/private/open":
      case "/arrived":
      case "/private/secret":
      case "/followed-by-nobody":
      case "/behind-nofollow":
        return html(page(path, prose(path)));
      case "/copy":
        return html(page("Story 1", prose("story 1")));
      case "/missing":
        response.writeHead(404, { "content-type": "text/html" });
        return response.end(page("Not here", ""));
      case "/broken":
        return response.writeHead(500).end();
      case "/flaky":
        if (failures++ < 2) return response.writeHead(503, { "retry-after": "0" }).end();
        return html(page("Flaky", prose("flaky")));
      case "/slow":
        response.writeHead(200, { "content-type": "text/html" });
        return response.write("<p>it begins"); // and never ends
      case "/loop/a":
        return redirect("/loop/b");
      case "/loop/b":
        return redirect("/loop/a");
      case "/moved":
        return redirect("/arrived");
      case "/inside":
        return redirect("http://169.254.169.254/latest/meta-data/");
      case "/noindex":
        return html(page("No", prose("no"), '<meta name="robots" content="noindex">'));
      case "/noai":
        return html(page("No", prose("no"), '<meta name="robots" content="noai, noimageai">'));
      case "/nofollow":
        return html(page("Dead end", link("/behind-nofollow"), '<meta name="robots" content="nofollow">'));
      case "/header-noindex":
        return html(page("No", prose("no")), { "x-robots-tag": ["otherbot: nofollow", "noindex"] });
      case "/packed":
        response.writeHead(200, { "content-type": "text/html", "content-encoding": "gzip" });
        return response.end(gzipSync(page("Packed", prose("packed"))));
      case "/chunked":
        response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
        response.writeHead(200, { "content-type": "text/html" });
        for (const part of page("Chunked", prose("chunked")).match(/.{1,100}/gs) ?? []) response.write(part);
        return response.end();
      case "/big":
        return html(page("Big", prose("big").repeat(100)));
      case "/image.png":
        response.writeHead(200, { "content-type": "image/png" });
        return response.end(Buffer.alloc(1000));
      case "/plain.txt":
        response.writeHead(200, { "content-type": "text/plain" });
        return response.end("Just text.\n");
      case "/latin1":
        response.writeHead(200, { "content-type": "text/html; charset=iso-8859-1" });
        return response.end(Buffer.from(page("Grüße", prose("größe")), "latin1"));
    }
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${base()}/`,
    asked,
    agents,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
