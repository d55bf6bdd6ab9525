/** @file ARC archives. */
import { target } from "../archives.js";

export const open = () => target(true);
