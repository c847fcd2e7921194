/** What whoever watches a session makes of states and events that arrive in another order than they were sent. */

import { describe, expect, test } from "vitest";
import type { FileState } from "../src/index.js";
import { type StateOfSession, WatchedSession } from "../src/watching/session.js";

function file(bytesCompleted: number, fileId = "f"): FileState {
  const counts = { bytesCompleted, bytesTotal: 100, partsCompleted: bytesCompleted / 10, partsTotal: 10 };
  return {
    fileId,
    name: `${fileId}.pdf`,
    category: "instruction",
    type: "application/pdf",
    status: "pending",
    ...counts,
  };
}

function state(sequence: number | undefined, ...files: FileState[]): StateOfSession {
  return { sequence, status: "active", files, allFiles: true };
}

function part(sequence: number | undefined, bytesCompleted: number, fileId = "f") {
  return { type: "part_uploaded", fileId, progress: { bytesCompleted }, ...(sequence && { sequence }) };
}

/** A session that is known to be like this. */
function known(...args: Parameters<typeof state>): WatchedSession {
  const session = new WatchedSession();
  session.update(state(...args));
  return session;
}

const stored = (session: WatchedSession) => Object.fromEntries(session.files.map((f) => [f.fileId, f.bytesCompleted]));

describe("with counters", () => {
  test("an event that is older than what is known of its file is dropped, whatever it says", () => {
    const session = known(5, file(50));
    expect(session.apply(part(4, 60))).toBe("ignored");
    expect(session.apply(part(7, 70))).toBe("applied");
    expect(session.apply(part(6, 80))).toBe("ignored");
    expect(stored(session)).toEqual({ f: 70 });
  });

  test("events of different files do not hide each other", () => {
    const session = known(5, file(10), file(10, "g"));
    expect(session.apply(part(9, 20))).toBe("applied");
    expect(session.apply(part(8, 30, "g"))).toBe("applied");
    expect(stored(session)).toEqual({ f: 20, g: 30 });
  });

  test("a response that events have overtaken takes nothing back of what they said", () => {
    const session = known(5, file(10), file(10, "g"));
    session.apply(part(8, 40));
    expect(session.update(state(7, file(30), file(20, "g")))).toBe(true);
    expect(stored(session)).toEqual({ f: 40, g: 20 });
  });

  test("a response that a later one has overtaken is dropped", () => {
    const session = known(7, file(30));
    expect(session.update({ ...state(6, file(20), file(10, "g")), status: "finalizing" })).toBe(false);
    expect(stored(session)).toEqual({ f: 30 });
    expect(session.status).toBe("active");
  });

  test("a file has less if a later state says so: it was replaced", () => {
    const session = known(5, file(50));
    expect(session.update(state(6, file(0)))).toBe(true);
    expect(stored(session)).toEqual({ f: 0 });
    session.apply(part(7, 10));
    expect(session.update({ sequence: 8, status: "active", files: [file(0)] })).toBe(true);
    expect(stored(session)).toEqual({ f: 0 });
  });

  test("an event never takes anything back, and neither does a state as of the same change", () => {
    const session = known(5, file(50));
    session.apply(part(6, 40));
    session.update(state(6, file(30)));
    expect(stored(session)).toEqual({ f: 50 });
  });

  test("a file that a later state does not have is removed, and one that is newer than the state stays", () => {
    const session = known(5, file(50), file(10, "g"));
    expect(session.update(state(6, file(50)))).toBe(true);
    expect(stored(session)).toEqual({ f: 50 });
    session.update({ sequence: 9, status: "active", files: [file(20, "h")] });
    session.update(state(8, file(50)));
    expect(stored(session)).toEqual({ f: 50, h: 20 });
  });

  test("a state of some files leaves the others, and their order", () => {
    const session = known(5, file(50), file(10, "g"));
    expect(session.update({ sequence: 6, status: "active", files: [file(60), file(5, "h")] })).toBe(true);
    expect(Object.entries(stored(session))).toEqual(Object.entries({ f: 60, g: 10, h: 5 }));
    expect(session.sequence).toBe(6);
  });

  test("the status is that of the latest state", () => {
    const session = known(5, file(50));
    session.update({ sequence: 8, status: "finalized", mocId: "m" });
    session.update(state(7, file(50)));
    expect([session.status, session.mocId, session.isOver]).toEqual(["finalized", "m", true]);
  });

  test("an event that says less than a state asks for one, unless it is known", () => {
    const session = known(5, file(50));
    const verdicts = [4, 5, 6].map((sequence) => session.apply({ type: "file_registered", fileId: "g", sequence }));
    expect(verdicts).toEqual(["ignored", "ignored", "incomplete"]);
    expect(session.apply(part(6, 10, "g"))).toBe("incomplete");
    expect(session.apply({ type: "upload.part.completed", fileId: "f", sequence: 6 })).toBe("ignored");
  });
});

describe("without counters, of an earlier server", () => {
  test("nothing goes back", () => {
    const session = known(undefined, file(50));
    expect(session.apply(part(undefined, 60))).toBe("applied");
    expect(session.update(state(undefined, file(50)))).toBe(false);
    session.apply(part(undefined, 40));
    expect(stored(session)).toEqual({ f: 60 });
    expect(session.apply({ type: "file_completed", fileId: "f" })).toBe("incomplete");
  });

  test("a file that a state does not have is removed", () => {
    const session = known(undefined, file(50), file(10, "g"));
    expect(session.update(state(undefined, file(50)))).toBe(true);
    expect(stored(session)).toEqual({ f: 50 });
  });
});
