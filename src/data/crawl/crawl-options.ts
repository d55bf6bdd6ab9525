/** @file The options of a crawl, shared by the library and the command line. */
import { z } from "zod";

export const crawlOptions = z.object({
  urls: z.array(z.string()).min(1).describe("addresses to start from").meta({ value: "URL" }),
  out: z.string().describe("folder for the archives; a crawl that was stopped there resumes").meta({ value: "DIR" }),
  maxPages: z.int().min(1).default(1000).describe("most pages to keep").meta({ value: "N" }),
  maxDepth: z.int().min(0).default(16).describe("most links to follow from a start").meta({ value: "N" }),
  maxBytes: z
    .number()
    .min(1)
    .default(2 ** 34)
    .describe("most bytes to receive in all")
    .meta({ value: "N" }),
  minutes: z.number().positive().optional().describe("time budget in minutes").meta({ value: "M" }),
  scope: z
    .enum(["host", "prefix", "domain"])
    .default("host")
    .describe("links to follow: to the starts' hosts, to their folders, or to their registered domains"),
  delay: z.number().min(0).default(1).describe("least seconds between two requests to a host").meta({ value: "S" }),
  concurrency: z.int().min(1).max(64).default(8).describe("hosts fetched from at the same time").meta({ value: "N" }),
  maxPageBytes: z
    .int()
    .min(1000)
    .default(8 * 2 ** 20)
    .describe("most bytes of one page")
    .meta({ value: "N" }),
  timeout: z
    .number()
    .positive()
    .default(30)
    .describe("most seconds for one answer, the connection included")
    .meta({ value: "S" }),
  contact: z
    .string()
    .default("https://www.npmjs.com/package/quern")
    .describe("address or mail of whoever crawls, sent with each request")
    .meta({ value: "TEXT" }),
  allowPrivate: z.boolean().default(false).describe("also fetch from this machine and its private network"),
  sitemaps: z.boolean().default(true).describe("use the sitemaps that robots.txt names"),
});
