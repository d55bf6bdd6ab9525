/** @file WARC archives. */
import { target } from "../archives.js";

export const open = () => target(false);
