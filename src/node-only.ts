/**
 * @file What a bundler for browsers finds in the place of a face that needs Node: no names, so that an import of one fails
 * where it is built, and a sentence where all of it is imported. package.json names it.
 */
throw new Error("this part of quern runs in Node; in a browser import quern/tokenizer or quern/tensor");

export {};
