/** The texts of the page. */

import { en } from "./en.ts";

/** Every text by its key: a language that lacks one, or has one too many, does not compile. */
export type Catalogue = typeof en;

export const t: Catalogue = en;
