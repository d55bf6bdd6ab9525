/**
 * @file Limits beyond which a reader skips a part of a file. They are far above real files, and low enough that a damaged or
 * hostile file reaches them within seconds and with little memory.
 */

/** Bytes of one line of JSONL or one element of a JSON array. Parsing takes about ten times as much memory. */
export const LONGEST_LINE = 2 ** 26;

/** Commas and brackets of one long JSON value. Each may create an object that takes twenty times as many bytes. */
export const MOST_JSON_VALUES = 2 ** 22;

/** Nesting depth of one JSON value. */
export const DEEPEST_JSON = 512;

/** Decompressed bytes of a compressed text file, which is decompressed into memory as a whole. */
export const LONGEST_COMPRESSED_TEXT = 2 ** 28;

/** Decompressed bytes of a compressed Parquet file. It is read from its end, so it is decompressed into memory as a whole. */
export const LARGEST_COMPRESSED_PARQUET = 2 ** 28;

/** Bytes of a Parquet file's footer, of a page header, and of a decompressed page. */
export const LARGEST_FOOTER = 2 ** 27;
export const LARGEST_PAGE_HEADER = 2 ** 24;
export const LARGEST_PARQUET_PAGE = 2 ** 28;

/** Values of one Parquet page: a page of one repeated value can claim billions in a few bytes. */
export const MOST_PAGE_VALUES = 2 ** 24;

/** Values of a nested Parquet column in one row group, which are assembled in memory. */
export const MOST_NESTED_VALUES = 2 ** 24;

/**
 * How many bytes back a Zstandard stream may refer, whatever window it declares; `zstd` accepts 2^27 without --long. Only a
 * file that is this long takes this much memory.
 */
export const LARGEST_ZSTD_WINDOW = 2 ** 29;
