/** What screen readers announce, in addition to the focused element. */

import { signal } from "@preact/signals";

/** The next announcement. */
export const announcement = signal("");
