/** The access token: kept for this tab alone, and asked for where the server wants one. */

import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { t } from "./catalogue/index.ts";
import { Dialog } from "./dialog.tsx";

const KEY = "moc-uploads:token";

/** The token, if there is one. */
export const token = signal(stored());

/** Who waits for the dialog that is open. */
const waiting = signal<((token: string | undefined) => void) | undefined>(undefined);
let asking: Promise<string | undefined> | undefined;

/** The client's token callback of whatever a person has started: asks them once the server has rejected. */
export function tokenOrAsk({ refresh }: { refresh: boolean }): string | undefined | Promise<string | undefined> {
  return refresh ? signIn() : token.peek();
}

/** For requests in the background: never asks. */
export function tokenIfAny(): string | undefined {
  return token.peek();
}

/** Asks for a token, once for all who want it at the same time. `undefined` where the dialog is closed without one. */
export function signIn(): Promise<string | undefined> {
  asking ??= new Promise<string | undefined>((resolve) => {
    waiting.value = resolve;
  }).finally(() => {
    waiting.value = undefined;
    asking = undefined;
  });
  return asking;
}

/** The dialog, which is there while somebody waits for it. */
export function SignIn() {
  const input = useRef<HTMLInputElement>(null);
  const respond = waiting.value;
  if (respond === undefined) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    const given = input.current?.value.trim();
    if (!given) return;
    store(given);
    token.value = given;
    respond(given);
  };
  return (
    <Dialog title={t.signIn.title} onClose={() => respond(undefined)}>
      <form onSubmit={submit}>
        <p>{t.signIn.text}</p>
        <div class="field">
          <label for="token">{t.signIn.token}</label>
          <input id="token" ref={input} type="password" autocomplete="off" spellcheck={false} required />
        </div>
        <div class="row">
          <button type="submit" class="primary">
            {t.signIn.submit}
          </button>
          <button type="button" onClick={() => respond(undefined)}>
            {t.signIn.later}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

// A browser that keeps nothing for pages throws instead; the token lasts until a reload then.

function stored(): string | undefined {
  try {
    return sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return undefined;
  }
}

function store(given: string): void {
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // As above.
  }
}
