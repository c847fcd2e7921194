import { expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import { inspect } from "./support/inspect.ts";
import { useStage } from "./support/stage.ts";
import type { UploadPage } from "./support/upload-page.ts";

const stage = useStage();

/** Loads the page again, past the question whether to leave an upload. */
async function reload({ page }: UploadPage): Promise<void> {
  const asked = page.waitForEvent("dialog");
  const reloaded = page.reload();
  const question = await asked;
  expect(question.type()).toBe("beforeunload");
  await question.accept();
  await reloaded;
}

test("a reload in the middle: the same bytes resume it, with what is missing alone", async () => {
  const { page, file, rest } = await stage.halfway("Castle");
  await reload(page);
  await rest.has(0);
  rest.release();
  const earlier = page.earlier("Castle");
  await expect.poll(() => earlier.innerText()).toContain("10 of 16 MiB stored");
  const before = stage.proxy.requests.length;

  await page.resume(earlier, stage.files.pdf("other.pdf", MIB));
  await page.alert.waitFor();
  expect(await page.alert.innerText()).toMatch(/castle\.pdf|other\.pdf/);
  expect(stage.bytesOfParts(before)).toBe(0);

  // A copy has another time of change.
  await page.resume(earlier, stage.files.write(file.name, file.bytes));
  await page.finished("Castle").waitFor();
  expect(stage.bytesOfParts(before) / MIB).toBeCloseTo(6);
  expect(stage.stored(file)).toBe(true);
});

test("a file that was edited since the upload began: the page says so, and its new version is published", async () => {
  const { page, file, rest } = await stage.halfway("Gate");
  await reload(page);
  await rest.has(0);
  rest.release();
  const edited = Buffer.from(file.bytes);
  edited[6 * MIB] = 255 - (edited[6 * MIB] ?? 0);
  const other = stage.files.write(file.name, edited);
  const complete = stage.hold(/^POST .*\/complete$/);
  await page.resume(page.earlier("Gate"), other);
  await page.page.getByText("has changed since this upload began. All files are sent again.").first().waitFor();
  await complete.has(1);
  expect(await inspect(page.page, "changed")).toEqual([]);
  complete.release();
  await page.finished("Gate").waitFor();
  expect(await page.announcements()).toContain("gate.pdf has changed since this upload began");
  expect(stage.stored(other)).toBe(true);
  expect(stage.stored(file)).toBe(false);
  expect(stage.remnants()).toBe(0);
});

test("an earlier upload that is discarded is deleted on the server as well", async () => {
  const { page, rest } = await stage.halfway("Ruin");
  await reload(page);
  await rest.has(0);
  await page.button("Discard", page.earlier("Ruin")).click();
  await page.earlier("Ruin").waitFor({ state: "detached" });
  expect(stage.proxy.matching(/^DELETE /).map(({ status }) => status)).toEqual([204]);
  expect(stage.remnants()).toBe(0);
});

test("a session that expires during a pause: the upload continues by itself in a new one", async () => {
  const { page, file, rest } = await stage.halfway("Wall");
  await page.button("Pause").click();
  await page.button("Resume").waitFor();
  await rest.has(0);
  rest.release();
  stage.expireSessions();

  page.watch.expect(/status of 410/);
  const before = stage.proxy.requests.length;
  await page.button("Resume").click();
  await page.finished("Wall").waitFor();
  expect(stage.proxy.matching(/^POST .*\/sessions$/).map(({ status }) => status)).toEqual([201, 201]);
  expect(stage.bytesOfParts(before) / MIB).toBeGreaterThanOrEqual(16);
  expect(stage.stored(file)).toBe(true);
});

test("broken records of earlier uploads are ignored, and the others shown", async () => {
  const page = await stage.visit();
  await page.upload("Hut", stage.files.pdf("hut.pdf", 1000));
  await page.finished("Hut").waitFor();
  await page.page.evaluate(() => {
    const [key = ""] = Object.keys(localStorage);
    const [record] = JSON.parse(localStorage.getItem(key) ?? "") as object[];
    const broken = [{ createdAt: "yesterday" }, { title: 7 }, { files: null }].map((part) => ({ ...record, ...part }));
    localStorage.setItem(key, JSON.stringify([null, "garbage", ...broken, record]));
  });
  await page.page.reload();
  await page.button("Forget").waitFor();
  await page.button("Choose files").waitFor();
  expect(await page.button("Forget").count()).toBe(1);

  for (const text of ["{", "{}", "null"]) {
    await page.page.evaluate((text) => {
      for (const key of Object.keys(localStorage)) localStorage.setItem(key, text);
    }, text);
    await page.page.reload();
    await page.button("Choose files").waitFor();
    expect(await page.button("Forget").count(), text).toBe(0);
  }
});

test.each(["offline", "online"])(
  "the connection breaks, with the browser %s: the upload resumes by itself",
  async (state) => {
    const { page, file, rest } = await stage.halfway(state);
    page.watch.expect(/net::ERR_|WebSocket connection/);
    await page.page.context().setOffline(state === "offline");
    await stage.proxy.disconnect();
    try {
      await page.page.getByText("The connection is lost").waitFor();
    } finally {
      rest.release();
      await stage.proxy.reconnect();
    }
    await page.page.context().setOffline(false);
    await page.finished(state).waitFor();
    expect(stage.stored(file)).toBe(true);
  },
);
