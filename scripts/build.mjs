/** @file `npm run build`: src and recipes → dist. */
import { build, requireNode } from "./steps.mjs";

requireNode();
process.exit(build({ force: process.argv.includes("--force") }));
