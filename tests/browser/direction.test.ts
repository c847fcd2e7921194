import { expect, test } from "vitest";
import { useStage } from "./support/stage.ts";
import type { UploadPage } from "./support/upload-page.ts";

const stage = useStage({ enable_thumbnail_generation: "true" });

/** Texts of somebody who writes from right to left; the brackets move where a text is not isolated. */
const THEIRS = { title: "טירה (1)", description: "אבן (2)", tag: "אפור (3)" };
const NAMES = { pdf: "מגדל (4).pdf", csv: "חלקים (5).csv", docx: "מסמך (6).docx", picture: "תמונה (7).png" };

/** Where the page shows their text without isolating its direction (UAX #9): in words, in names, in the title. */
function notIsolated({ page }: UploadPage): Promise<string[]> {
  return page.evaluate(
    (theirs) => {
      const isHebrew = /[\u0590-\u05ff]/;
      const without = (text: string) => text.replace(/\u2068[^\u2068\u2069]*\u2069/g, "");
      const found: string[] = [];
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const { parentElement, textContent } = texts.currentNode;
        if (!parentElement?.closest("bdi, [dir=auto], script") && isHebrew.test(without(textContent ?? ""))) {
          found.push(`text: ${textContent}`);
        }
      }
      for (const element of document.body.querySelectorAll("*")) {
        for (const { name, value } of element.attributes) {
          const isSpoken = /^(alt|title|placeholder|aria-(label|valuetext|description))$/.test(name);
          // A name that is nothing but their text has nothing around it that could move.
          if (isSpoken && !theirs.includes(value) && isHebrew.test(without(value))) found.push(`${name}: ${value}`);
        }
      }
      if (isHebrew.test(without(document.title))) found.push(`title: ${document.title}`);
      return found;
    },
    [...Object.values(THEIRS), ...Object.values(NAMES)],
  );
}

test("text from right to left is isolated wherever the page shows it", async () => {
  const seen: string[] = [];
  const page = await stage.visit();
  const look = async (where: string) => {
    seen.push(where);
    expect(await notIsolated(page), where).toEqual([]);
  };
  const [pdf, csv] = [stage.files.pdf(NAMES.pdf, 1000), stage.files.csv(NAMES.csv, 2)];
  const picture = stage.files.picture(NAMES.picture);

  await page.choose(pdf, csv, picture, stage.files.write(NAMES.docx, "PK"));
  await page.alert.getByText(NAMES.docx).waitFor();
  await look("an unsupported file");
  await page.choose(stage.files.pdf(NAMES.pdf, 2000));
  await page.alert.getByText(NAMES.pdf).waitFor();
  await look("a replaced file");
  await page.removal(NAMES.csv).click();
  await page.choose(csv);
  await page.textbox("Tags (optional)").fill(THEIRS.tag.repeat(10));
  await page.button("Upload").click();
  await page.alert.getByText("is too long").waitFor();
  await look("a tag that is too long");

  await page.textbox("Title").fill(THEIRS.title);
  await page.textbox("Description (optional)").fill(THEIRS.description);
  await page.textbox("Tags (optional)").fill(THEIRS.tag);
  const complete = stage.hold(/^POST .*\/complete$/);
  await page.button("Upload").click();
  await complete.has(3);
  await look("an upload");
  expect(await page.page.title()).toContain(THEIRS.title);

  const asked = page.page.waitForEvent("dialog");
  const reloaded = page.page.reload();
  await (await asked).accept();
  await reloaded;
  complete.release();
  await page.button("Resume").waitFor();
  await look("an earlier upload");
  await page.resume(page.earlier(THEIRS.title), csv);
  await page.alert.getByText(NAMES.pdf).waitFor();
  await look("a missing file");
  await page.resume(page.earlier(THEIRS.title), stage.files.pdf(NAMES.pdf, 2001), csv, picture);
  await page.finished(THEIRS.title).waitFor();
  await page.showsThumbnail(THEIRS.title);
  await look("a MOC");

  await page.button("Upload another").click();
  await page.button("Forget").waitFor();
  await look("an earlier MOC");
  await page.button("Forget").click();
  await page.page.getByText("is removed from this list").waitFor({ state: "attached" });
  await look("an announcement");
  expect(seen).toHaveLength(9);
});

test("text that is not isolated is found", async () => {
  const page = await stage.visit();
  await page.page.evaluate((title) => {
    document.body.append(`${title} is published.`);
    document.querySelector("h1")?.setAttribute("aria-label", `Heading of ${title}`);
    document.title = `${title} – Upload`;
  }, THEIRS.title);
  expect((await notIsolated(page)).map((found) => found.split(":")[0])).toEqual(["text", "aria-label", "title"]);
});
