/** What ends the program from outside. */

import { constants } from "node:os";

/** Ctrl-C, a closed terminal, and what service managers send. */
const SIGNALS = ["SIGINT", "SIGHUP", "SIGTERM"] as const;

/** The exit status of a program that a signal has ended, as shells have it. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** Calls `act` with the first of these signals; the next one ends the process as usual. */
export function onSignal(act: (signal: NodeJS.Signals) => void): void {
  const first = (signal: NodeJS.Signals) => {
    SIGNALS.forEach((signal) => process.removeListener(signal, first));
    act(signal);
  };
  SIGNALS.forEach((signal) => process.on(signal, first));
}
