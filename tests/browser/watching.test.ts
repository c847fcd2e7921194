/** A second tab shows an upload by WebSocket, by server-sent events and by requests. */

import { describe, expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import type { Hold } from "./support/hold.ts";
import { inspect } from "./support/inspect.ts";
import { type Stage, useStage } from "./support/stage.ts";
import type { UploadPage } from "./support/upload-page.ts";

const SESSION = /^GET .*\/sessions\/[^/]+$/;
const STREAM = /^GET .*\/watch\?token=/;

/** An upload in one tab, and another tab that shows it. */
interface Tabs {
  title: string;
  first: UploadPage;
  second: UploadPage;
  third: Hold;
  fourth: Hold;
}

/** Opens both tabs; of four parts two are stored then, and the others are held. */
async function twoTabs(stage: Stage, title: string, expected = /^$/): Promise<Tabs> {
  const [third, fourth] = [stage.hold(/^PUT .*\/parts\/3$/), stage.hold(/^PUT .*\/parts\/4$/)];
  const first = await stage.visit();
  await first.upload(title, stage.files.pdf("tower.pdf", 16 * MIB));
  await Promise.all([third.has(1), fourth.has(1)]);
  const second = await stage.visit({ context: first.page.context(), expected });
  await second.page.getByText("Uploading in another tab").waitFor();
  await second.shows(title, 62);
  return { title, first, second, third, fourth };
}

/** Ends the upload; the second tab shows that. */
async function finish({ title, first, second, fourth }: Tabs): Promise<void> {
  fourth.release();
  await first.finished(title).waitFor();
  await second.button("Forget", second.earlier(title)).waitFor();
  await second.bar(title).waitFor({ state: "detached" });
  expect(await second.barValues(title)).toEqual(expect.arrayContaining([62, 93]));
}

/** How many streams are open. */
function streams(stage: Stage): number {
  return stage.proxy.matching(STREAM).filter(({ isOver }) => !isOver).length;
}

describe("with a broadcaster", () => {
  const stage = useStage();

  test("watched by WebSocket", async () => {
    const tabs = await twoTabs(stage, "Tower");
    const { first, second, third } = tabs;
    await second.isConnected();
    expect(await inspect(second.page, "watched-by-websocket")).toEqual([]);

    // By the WebSocket alone: whoever requests the session gets no response meanwhile.
    const session = stage.hold(SESSION);
    third.release();
    await Promise.all([first.shows("All files", 93), second.shows("Tower", 93)]);
    session.release();
    expect(stage.proxy.count(STREAM)).toBe(0);
    await finish(tabs);
  });
});

describe("without a broadcaster", () => {
  const stage = useStage({ websocket_api_url: "" });

  test("watched by server-sent events", async () => {
    const tabs = await twoTabs(stage, "Gate");
    const { first, second, third } = tabs;
    await expect.poll(() => streams(stage)).toBe(1);
    expect(await inspect(second.page, "watched-by-server-sent-events")).toEqual([]);

    // By the stream alone.
    const session = stage.hold(SESSION);
    third.release();
    await Promise.all([first.shows("All files", 93), second.shows("Gate", 93)]);
    session.release();
    await finish(tabs);
    await expect.poll(() => streams(stage)).toBe(0);
  });

  test("watched by polling", async () => {
    stage.proxy.fail(STREAM, { response: { status: 503, headers: { "retry-after": "60" } } }, Infinity);
    const tabs = await twoTabs(stage, "Wall", /status of 503/);
    const { first, second, third } = tabs;
    third.release();
    await Promise.all([first.shows("All files", 93), second.shows("Wall", 93)]);
    expect(await inspect(second.page, "watched-by-polling")).toEqual([]);
    await finish(tabs);
    expect(stage.proxy.count(STREAM)).toBe(1);
  });

  test("watched by a stream that breaks, and by the next one", async () => {
    const tabs = await twoTabs(stage, "Moat");
    const { first, second, third } = tabs;
    // One that breaks before anything has come counts as failed, and is left alone for longer.
    await expect.poll(() => second.received.join("")).toContain("retry:");
    for (const tab of [first, second]) tab.watch.expect(/net::ERR_/);
    stage.proxy.breakOff(STREAM);
    await expect.poll(() => stage.proxy.count(STREAM)).toBe(2);
    third.release();
    await Promise.all([first.shows("All files", 93), second.shows("Moat", 93)]);
    await finish(tabs);
  });

  test("a tab that nobody sees has no stream", async () => {
    const tabs = await twoTabs(stage, "Keep");
    const { second, third } = tabs;
    await expect.poll(() => streams(stage)).toBe(1);
    await second.hide(true);
    await expect.poll(() => streams(stage)).toBe(0);
    await second.hide(false);
    await expect.poll(() => streams(stage)).toBe(1);
    third.release();
    await second.shows("Keep", 93);
    await finish(tabs);
  });
});
