/**
 * @file The sizes beyond which a reader gives up on a part of a file. They are far above what good files hold; a damaged or
 * hostile file reaches them within seconds and with little memory.
 */

/** Bytes of one line of JSONL, or of one element of a JSON array: parsing takes some ten times as much memory. */
export const LONGEST_LINE = 2 ** 26;

/** Commas and brackets of one JSON value that is long: each may be an object that takes twenty times its bytes. */
export const MOST_JSON_VALUES = 2 ** 22;

/** Brackets inside brackets in one JSON value. */
export const DEEPEST_JSON = 512;

/** Bytes of a text file that is compressed; it is unpacked into memory as a whole. */
export const LONGEST_PACKED_TEXT = 2 ** 28;

/** Bytes of a Parquet file that is itself compressed: it is read from its end, so it is unpacked into memory as a whole. */
export const LARGEST_PACKED_PARQUET = 2 ** 28;

/** Bytes of a Parquet file's footer, of a page's header, and of a page, unpacked. */
export const LARGEST_FOOTER = 2 ** 27;
export const LARGEST_PAGE_HEADER = 2 ** 24;
export const LARGEST_PARQUET_PAGE = 2 ** 28;

/** Values of one Parquet page: a page of one repeated value can claim billions in a few bytes. */
export const MOST_PAGE_VALUES = 2 ** 24;

/** Values of a nested Parquet column in one row group: they are put together in memory. */
export const MOST_NESTED_VALUES = 2 ** 24;

/**
 * How many bytes back a Zstandard stream may refer, whatever window it declares: `zstd` itself takes 2^27 without --long. So much is
 * kept only of a file that is as long.
 */
export const LARGEST_ZSTD_WINDOW = 2 ** 29;
