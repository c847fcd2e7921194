import { expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import { locatedJpeg, SECRET } from "../../client/tests/support/located.ts";
import { useStage } from "./support/stage.ts";

const stage = useStage({ enable_thumbnail_generation: "true" });

test("two files: the bars move, the MOC is there with its thumbnail, and the bucket has every byte", async () => {
  const files = [stage.files.pdf("castle.pdf", 12 * MIB), stage.files.picture("castle.png")];
  stage.proxy.bytesPerSecond = 8 * MIB;
  const page = await stage.visit();
  await page.choose(...files);
  await page.textbox("Title").fill("Castle");
  await page.textbox("Description (optional)").fill("With a drawbridge.");
  await page.textbox("Tags (optional)").fill("castle, grey");
  await page.button("Upload").click();

  await page.finished("Castle").waitFor();
  await page.showsThumbnail("Castle");
  await page.page.getByText("With a drawbridge.").waitFor();
  const tags = page.page.getByRole("list", { name: "Tags" }).getByRole("listitem");
  expect(await tags.allInnerTexts()).toEqual(["castle", "grey"]);

  for (const name of ["All files", "castle.pdf"]) {
    const values = await page.barValues(name);
    expect(values, name).toEqual([...values].sort((a, b) => a - b));
    expect(
      values.filter((value) => value > 0 && value < 100),
      `${name}: ${values}`,
    ).not.toEqual([]);
    expect(values.at(-1), name).toBe(100);
  }
  const announced = await page.announcements();
  for (const words of [/Uploading Castle/, /castle\.png done/, /\d+% uploaded/, /Castle is published/]) {
    expect(announced).toMatch(words);
  }
  for (const file of files) {
    expect(stage.stored(file), file.name).toBe(true);
    const url = await page.page.getByRole("link", { name: file.name }).getAttribute("href");
    expect(Buffer.from(await (await fetch(url ?? "")).arrayBuffer()).equals(file.bytes), file.name).toBe(true);
  }
});

test("a picture is published without its location, which the page says, and as it is turned", async () => {
  const located = stage.files.write("castle.jpg", locatedJpeg("turned.jpg", 6));
  const page = await stage.visit();
  await page.page.getByText("The location is removed from JPEG, PNG and WebP pictures").waitFor();
  await page.upload("Spot", stage.files.pdf("spot.pdf", 1000), located);
  await page.finished("Spot").waitFor();
  await page.showsThumbnail("Spot");
  const url = await page.page.getByRole("link", { name: located.name }).getAttribute("href");
  const published = Buffer.from(await (await fetch(url ?? "")).arrayBuffer());
  expect([located.bytes.includes(SECRET), published.includes(SECRET)]).toEqual([true, false]);

  // The browser turns it, too, and sees the same pixels as in the original.
  const pixels = (bytes: Buffer) =>
    page.page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
      const { data = [] } = canvas.getContext("2d")?.getImageData(0, 0, bitmap.width, bitmap.height) ?? {};
      return [bitmap.width, bitmap.height, [...data].join()];
    }, bytes.toString("base64"));
  const [width, height, colours] = await pixels(published);
  expect(Number(width)).toBeLessThan(Number(height));
  expect([width, height, colours]).toEqual(await pixels(located.bytes));
});

test("dropped files are as good as chosen ones, and can be removed again", async () => {
  const page = await stage.visit();
  const files = [
    stage.files.pdf("tower.pdf", 1000),
    stage.files.csv("tower.csv", 2),
    stage.files.write("spare.csv", "1"),
  ];
  await page.drop(...files.map(({ path }) => path));
  await page.files.getByText("Parts list, 1 byte", { exact: true }).waitFor();
  await page.removal("spare.csv").click();
  expect(await page.files.allInnerTexts()).toEqual([
    expect.stringContaining("tower.pdf"),
    expect.stringContaining("tower.csv"),
  ]);
  await page.textbox("Title").fill("Tower");
  await page.button("Upload").click();
  await page.finished("Tower").waitFor();
  const links = page.page.getByRole("main").getByRole("link");
  expect((await links.allInnerTexts()).sort()).toEqual(["tower.csv", "tower.pdf"]);
});

test("a folder that is dropped is named as one, and the files next to it are added", async () => {
  const folder = stage.files.emptyFolder("My castle");
  const page = await stage.visit();
  await page.drop(folder, stage.files.pdf("castle.pdf", 1000).path);
  await page.alert.waitFor();
  expect(await page.alert.innerText()).toMatch(/My castle\W* is a folder\. Drop the files in it/);
  expect(await page.files.allInnerTexts()).toEqual([expect.stringContaining("castle.pdf")]);
});

test("another file of the same name takes the place of the first, and that is said", async () => {
  const page = await stage.visit();
  const first = stage.files.pdf("castle.pdf", 1000);
  await page.choose(first);
  await page.choose(first);
  await page.files.getByText("1,000 bytes").waitFor();
  expect(await page.alert.count()).toBe(0);

  const second = stage.files.pdf("castle.pdf", 2000);
  await page.choose(second);
  await page.alert.waitFor();
  expect(await page.alert.innerText()).toMatch(/castle\.pdf\W* was already in the list and is replaced/);
  expect(await page.files.count()).toBe(1);
  await page.textbox("Title").fill("Two castles");
  await page.button("Upload").click();
  await page.finished("Two castles").waitFor();
  expect(stage.stored(second)).toBe(true);
});

test("control characters in copied text do not keep a MOC from being published", async () => {
  const page = await stage.visit();
  await page.choose(stage.files.pdf("castle.pdf", 1000));
  const description = page.textbox("Description (optional)");
  await description.fill("Castle\twith\u0007a\nmoat");
  await description.press("Control+A");
  await description.press("Control+C");
  await page.textbox("Title").press("Control+V");
  expect(await page.textbox("Title").inputValue()).toMatch(/\p{Cc}/u);
  await page.textbox("Tags (optional)").fill("castle\t,\tgrey\u0007wall");
  await page.button("Upload").click();
  await page.finished("Castle with a moat").waitFor();
  const tags = page.page.getByRole("list", { name: "Tags" }).getByRole("listitem");
  expect(await tags.allInnerTexts()).toEqual(["castle", "grey wall"]);
  await page.page.getByText("Castle witha moat").waitFor();
});

test("a double click on Upload presses nothing that takes the button's place", async () => {
  const complete = stage.hold(/^POST .*\/complete$/);
  const page = await stage.visit();
  await page.upload("Hut", stage.files.pdf("hut.pdf", 1000));
  await page.clickAgain(page.button("Cancel upload"));
  await page.clickAgain(page.button("Pause"));
  expect(await page.dialog("Cancel this upload?").count()).toBe(0);
  complete.release();
  await page.finished("Hut").waitFor();
  expect(await page.announcements()).not.toMatch(/Paused/);
});

test.each(["denied", "broken"])("an upload works where the browser's storage is %s", async (state) => {
  const page = await stage.visit();
  await page.page.addInitScript((denied) => {
    const deny = () => {
      throw new DOMException("No storage here.", "SecurityError");
    };
    for (const name of ["localStorage", "sessionStorage"]) {
      if (denied) Object.defineProperty(window, name, { get: deny });
    }
    for (const name of ["getItem", "setItem", "removeItem"] as const) Storage.prototype[name] = deny;
  }, state === "denied");
  await page.page.reload();
  const file = stage.files.pdf(`${state}.pdf`, 1000);
  await page.upload(state, file);
  await page.finished(state).waitFor();
  expect(stage.stored(file)).toBe(true);
});

test("bars show what the server has confirmed, not what has left the machine", async () => {
  const { page, file, rest } = await stage.halfway("Keep");
  await page.shows("keep.pdf", 62);
  expect(await page.bar("keep.pdf").getAttribute("aria-valuetext")).toBe("10 of 16 MiB stored");
  await expect.poll(() => page.rate.innerText()).toMatch(/^[\d.]+ [KM]iB\/s, \d+ sec left$/);
  expect(await page.page.title()).toMatch(/^62% – \u2068Keep/);
  expect(Math.max(...(await page.barValues("All files")))).toBe(62);
  rest.release();
  await page.finished("Keep").waitFor();
  expect(stage.stored(file)).toBe(true);
});

test("a paused upload sends nothing, and resumes with the missing parts only", async () => {
  const { page, file, rest } = await stage.halfway("Gate");
  await page.button("Pause").click();
  await page.button("Resume").waitFor();
  await rest.has(0);
  rest.release();
  expect(await page.announcements()).toMatch(/Paused/);

  const before = stage.proxy.requests.length;
  await page.button("Resume").click();
  await page.finished("Gate").waitFor();
  expect(stage.bytesOfParts(before) / MIB).toBeCloseTo(6);
  expect(stage.stored(file)).toBe(true);
});

test("a cancelled upload leaves nothing behind", async () => {
  const { page, file, rest } = await stage.halfway("Ruin");
  await page.button("Cancel upload").click();
  const question = page.dialog("Cancel this upload?");
  await page.button("Keep going", question).click();
  await question.waitFor({ state: "hidden" });
  await page.shows("All files", 62);

  await page.button("Cancel upload").click();
  await page.button("Yes, cancel it", question).click();
  await page.button("Choose files").waitFor();
  rest.release();
  expect(stage.proxy.matching(/^DELETE /).map(({ status }) => status)).toEqual([204]);
  expect(await page.earlier("Ruin").count()).toBe(0);
  expect(stage.objects().map(({ name }) => name)).not.toContain(file.name);
  expect(stage.remnants()).toBe(0);
});

test("everything works by keyboard alone", async () => {
  const file = stage.files.pdf("bridge.pdf", MIB);
  const page = await stage.visit();
  const { keyboard } = page.page;
  await page.tabTo(page.button("Choose files"));
  const [chooser] = await Promise.all([page.page.waitForEvent("filechooser"), keyboard.press("Enter")]);
  await chooser.setFiles(file.path);
  await page.tabTo(page.textbox("Title"));
  await keyboard.type("Bridge");
  const complete = stage.hold(/^POST .*\/complete$/);
  await page.tabTo(page.button("Upload"));
  await keyboard.press("Space");
  await complete.has(1);

  // A dialog is closed by Escape, and gives the focus back.
  await page.tabTo(page.button("Cancel upload"));
  await keyboard.press("Enter");
  const question = page.dialog("Cancel this upload?");
  await question.waitFor();
  await keyboard.press("Escape");
  await question.waitFor({ state: "hidden" });
  await expect.poll(() => page.hasFocus(page.button("Cancel upload"))).toBe(true);
  complete.release();

  await page.finished("Bridge").waitFor();
  await expect.poll(() => page.hasFocus(page.finished("Bridge"))).toBe(true);
  await page.tabTo(page.button("Upload another"));
  await keyboard.press("Enter");
  await page.button("Choose files").waitFor();
  expect(stage.stored(file)).toBe(true);
});
