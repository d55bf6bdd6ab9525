/** @file The options of a crawl, shared by the library and the command line. */
import { z } from "zod";

export const crawlOptions = z.object({
  urls: z.array(z.string()).min(1).describe("addresses to begin at").meta({ value: "URL" }),
  out: z.string().describe("folder for the archives; a crawl that was stopped goes on there").meta({ value: "DIR" }),
  maxPages: z.int().min(1).default(1000).describe("pages kept, at most").meta({ value: "N" }),
  maxDepth: z.int().min(0).default(16).describe("links followed from a start, at most").meta({ value: "N" }),
  maxBytes: z
    .number()
    .min(1)
    .default(2 ** 34)
    .describe("bytes fetched in all, at most")
    .meta({ value: "N" }),
  minutes: z.number().positive().optional().describe("minutes, at most").meta({ value: "M" }),
  scope: z
    .enum(["host", "prefix", "domain"])
    .default("host")
    .describe("what is followed: the starts' hosts, the folders they lie in, or their registered domains"),
  delay: z.number().min(0).default(1).describe("seconds between two requests to a host, at least").meta({ value: "S" }),
  concurrency: z.int().min(1).max(64).default(8).describe("hosts asked at the same time").meta({ value: "N" }),
  maxPageBytes: z
    .int()
    .min(1000)
    .default(8 * 2 ** 20)
    .describe("bytes of one page, at most")
    .meta({ value: "N" }),
  timeout: z.number().positive().default(30).describe("seconds for one answer, at most").meta({ value: "S" }),
  contact: z
    .string()
    .default("https://www.npmjs.com/package/quern")
    .describe("address or mail of who crawls, sent with each request")
    .meta({ value: "TEXT" }),
  allowPrivate: z.boolean().default(false).describe("also fetch from this machine and its private network"),
  sitemaps: z.boolean().default(true).describe("use the sitemaps that robots.txt names"),
});
