/** @file From raw web to clean documents: archives and other locations, pages, extraction, filters, the funnel. */
export { QuernError } from "../errors.js";
export { type HttpResponse, parseHttpResponse } from "./archive/http-message.js";
export { type ArchiveOptions, type ArchiveReader, type ArchiveRecord, readArchive } from "./archive/records.js";
export { newRecordId, sha1, type WarcFields, warcRecord } from "./archive/write.js";
export { type CrawlOptions, type CrawlResult, crawl, crawlOptions } from "./crawl/crawl.js";
export { expandLocation, isRemote, type LocationOptions, readLocation } from "./location.js";
export type { Origin, Page, PageReader } from "./page.js";
export { findParts, type PageOptions, type Part, readPages, readPart } from "./pages.js";
