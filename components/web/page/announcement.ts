/** What screen readers are told, next to what has the focus. */

import { signal } from "@preact/signals";

/** What they are told next. */
export const announcement = signal("");
