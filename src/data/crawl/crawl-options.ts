/** @file The options of a crawl, shared by the library and the command line. */
import { z } from "zod";

export const crawlOptions = z.object({
  urls: z.array(z.string()).min(1).describe("addresses to start from").meta({ value: "URL" }),
  out: z.string().describe("folder for the archives; resumes a crawl that stopped there").meta({ value: "DIR" }),
  maxPages: z.int().min(1).default(1000).describe("maximum pages to keep").meta({ value: "N" }),
  maxDepth: z.int().min(0).default(16).describe("maximum links between a start and a page").meta({ value: "N" }),
  maxBytes: z
    .number()
    .min(1)
    .default(2 ** 34)
    .describe("maximum bytes to receive in total")
    .meta({ value: "N" }),
  minutes: z.number().positive().optional().describe("time budget in minutes").meta({ value: "M" }),
  scope: z
    .enum(["host", "prefix", "domain"])
    .default("host")
    .describe("follow links to the start addresses' hosts, folders or registered domains"),
  delay: z.number().min(0).default(1).describe("minimum seconds between two requests to a host").meta({ value: "S" }),
  concurrency: z.int().min(1).max(64).default(8).describe("hosts to fetch from at the same time").meta({ value: "N" }),
  maxPageBytes: z
    .int()
    .min(1000)
    .default(8 * 2 ** 20)
    .describe("maximum bytes per page")
    .meta({ value: "N" }),
  timeout: z
    .number()
    .positive()
    .default(30)
    .describe("maximum seconds per response, including the connection")
    .meta({ value: "S" }),
  contact: z
    .string()
    .default("https://www.npmjs.com/package/quern")
    .describe("your web or mail address, sent with each request")
    .meta({ value: "TEXT" }),
  allowPrivate: z.boolean().default(false).describe("also fetch from this machine and private networks"),
  sitemaps: z.boolean().default(true).describe("use the sitemaps listed in robots.txt"),
});
