/** Which tab uploads which session, by Web Locks, which the browser releases when a tab closes or crashes. */

import { type ReadonlySignal, signal } from "@preact/signals";

const PREFIX = "moc-upload:";
/** Notifies other tabs that a lock was taken; they notice a release by getting it. */
const channel = channelIfAny();
/** Without a secure context there are none; then no tab knows of another, as where the browser denies them. */
const locks: LockManager | undefined = navigator.locks;

const mine = new Set<string>();
const others = signal<ReadonlySet<string>>(new Set());

/** The sessions that other tabs upload now. */
export const elsewhere: ReadonlySignal<ReadonlySet<string>> = others;

/** Claims a session for this tab. The response gives it back; it is `undefined` where another tab has it. */
export async function claim(sessionId: string): Promise<(() => void) | undefined> {
  if (locks === undefined) return () => {};
  const name = PREFIX + sessionId;
  return new Promise((resolve) => {
    const held = (lock: Lock | null) => {
      if (lock === null) return resolve(undefined);
      mine.add(name);
      channel?.postMessage(null);
      return new Promise<void>((release) => {
        resolve(() => {
          mine.delete(name);
          release();
        });
      });
    };
    locks.request(name, { ifAvailable: true }, held).catch(() => resolve(() => {}));
  });
}

async function look(): Promise<void> {
  const { held = [] } = (await locks?.query().catch(() => undefined)) ?? {};
  const uploading = held.filter(({ mode }) => mode === "exclusive");
  const names = uploading.flatMap(({ name }) => (name?.startsWith(PREFIX) && !mine.has(name) ? [name] : []));
  const added = names.filter((name) => !others.peek().has(name.slice(PREFIX.length)));
  others.value = new Set(names.map((name) => name.slice(PREFIX.length)));
  // A shared lock is granted once the other tab has given its own back.
  for (const name of added) void locks?.request(name, { mode: "shared" }, () => {}).then(look);
}

/** A browser that keeps nothing for pages may throw instead. */
function channelIfAny(): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel("moc-uploads");
  } catch {
    return undefined;
  }
}

channel?.addEventListener("message", () => void look());
void look();
