import { expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import { inspect } from "./support/inspect.ts";
import { useStage } from "./support/stage.ts";

const stage = useStage({ enable_thumbnail_generation: "true", instruction_max_mb: "20" });

test("axe finds nothing serious in any state: light, dark, and 390 pixels wide", async () => {
  const page = await stage.visit();
  const look = async (state: string) => expect(await inspect(page.page, state)).toEqual([]);
  await page.button("Choose files").waitFor();
  await look("start");

  page.watch.expect(/status of 413/);
  await page.upload("Mountain", stage.files.pdf("mountain.pdf", 21 * MIB));
  await page.alert.waitFor();
  await look("rejected");

  await page.page.reload();
  const files = [
    stage.files.pdf("castle.pdf", 16 * MIB),
    stage.files.csv("castle-parts.csv", 200),
    stage.files.picture("castle-from-the-south.png"),
  ];
  await page.choose(...files);
  await page.textbox("Title").fill("Castle on the hill");
  await page.textbox("Description (optional)").fill("A small castle with a drawbridge that can be raised.");
  await page.textbox("Tags (optional)").fill("castle, medieval, grey");
  await look("chosen");

  const last = stage.hold(/^PUT .*\/parts\/[34]$/);
  await page.button("Upload").click();
  await last.has(2);
  await page.shows("castle.pdf", 62);
  await look("uploading");

  await page.button("Cancel upload").click();
  const question = page.dialog("Cancel this upload?");
  await question.waitFor();
  await look("cancel");
  await page.button("Keep going", question).click();

  await page.button("Pause").click();
  await page.button("Resume").waitFor();
  await look("paused");

  page.page.once("dialog", (dialog) => void dialog.accept());
  await page.page.reload();
  await last.has(0);
  last.release();
  const entry = page.earlier("Castle on the hill");
  await expect.poll(() => entry.innerText()).toContain("stored");
  await look("earlier");

  await page.resume(entry, ...files);
  await page.finished("Castle on the hill").waitFor();
  await page.showsThumbnail("Castle on the hill");
  await look("finished");
});
