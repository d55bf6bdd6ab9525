/** @file `npm run build`: compiles src and recipes to dist. */
import { build, requireNode } from "./steps.mjs";

requireNode();
process.exit(build({ force: process.argv.includes("--force") }));
