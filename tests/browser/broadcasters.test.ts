/** A second tab shows an upload through each broadcaster that users run, and without one; with a log of what it got. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import { artefact } from "./support/artefacts.ts";
import { type FrontKind, isInstalled } from "./support/front.ts";
import { inspect } from "./support/inspect.ts";
import { type Stage, useStage } from "./support/stage.ts";

/** Uploads in one tab what another tab shows, and keeps a screenshot and a log of this name. */
async function watchedByASecondTab(stage: Stage, name: string): Promise<string> {
  const [third, fourth] = [stage.hold(/^PUT .*\/parts\/3$/), stage.hold(/^PUT .*\/parts\/4$/)];
  const first = await stage.visit();
  const file = stage.files.pdf("tower.pdf", 16 * MIB);
  await first.upload("Tower", file);
  await Promise.all([third.has(1), fourth.has(1)]);
  const second = await stage.visit({ context: first.page.context() });
  await second.page.getByText("Uploading in another tab").waitFor();
  await second.shows("Tower", 62);
  expect(await inspect(second.page, name)).toEqual([]);

  third.release();
  await Promise.all([first.shows("All files", 93), second.shows("Tower", 93)]);
  fourth.release();
  await first.finished("Tower").waitFor();
  await second.button("Forget", second.earlier("Tower")).waitFor();
  expect(await second.barValues("Tower")).toEqual(expect.arrayContaining([62, 93]));
  expect(stage.stored(file)).toBe(true);

  const log = artefact(`screenshots/${name}.txt`);
  mkdirSync(dirname(log), { recursive: true });
  const received = second.received.join("\n");
  writeFileSync(log, `${received}\n`);
  return received;
}

const FRONTS: { kind: FrontKind; name: string }[] = [
  { kind: "nchan", name: "nginx with nchan" },
  { kind: "pushpin", name: "Pushpin" },
];

describe.each(FRONTS)("through $name", ({ kind }) => {
  const stage = useStage({}, { front: kind });

  test.skipIf(!isInstalled(kind))("a second tab receives the events of every part", async () => {
    const received = await watchedByASecondTab(stage, `watched-through-${kind}`);
    for (const completed of [3, 4]) {
      expect(received).toContain(`"completedParts":${completed},`);
    }
    expect(received).toContain('"session_finalized"');
  });
});

describe("without a broadcaster", () => {
  const stage = useStage({ websocket_api_url: "" });

  // What the store has when the stream begins, the tab may know already.
  test("a second tab receives what changes", async () => {
    const received = await watchedByASecondTab(stage, "watched-without-a-broadcaster");
    expect(received).toContain('"partsCompleted":3,');
  });
});
