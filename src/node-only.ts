/**
 * @file Replaces entry points that need Node in browser bundles (see package.json). It exports no names, so importing one
 * fails at build time; importing the whole module throws this error.
 */
throw new Error("this part of quern runs only in Node; in a browser, import quern/tokenizer or quern/tensor");

export {};
