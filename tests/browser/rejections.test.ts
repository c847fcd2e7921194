import { describe, expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import { accessToken } from "../../client/tests/support/token.ts";
import { inspect } from "./support/inspect.ts";
import { useStage } from "./support/stage.ts";

/** For how long the server takes a token that has expired. */
const LEEWAY_SECONDS = 60;

describe("what cannot be uploaded is explained", () => {
  const stage = useStage({ instruction_max_mb: "1" });

  test("a file of a type that a MOC cannot have, before anything is sent", async () => {
    const page = await stage.visit();
    await page.choose(stage.files.pdf("castle.pdf", 1000), stage.files.write("castle.docx", "PK"));
    await page.alert.waitFor();
    const words = await page.alert.innerText();
    for (const part of ["castle.docx", "PDF", "CSV", "JPEG"]) expect(words).toContain(part);
    expect(await page.files.allInnerTexts()).toEqual([expect.stringContaining("castle.pdf")]);
    expect(stage.proxy.requests.filter(({ path }) => path.startsWith("/api/"))).toEqual([]);
  });

  test("no title, and no instructions, each where it is missing", async () => {
    const page = await stage.visit();
    await page.choose(stage.files.picture("castle.png"));
    await page.button("Upload").click();
    const words = page.alert.allInnerTexts();
    expect(await words).toEqual([expect.stringMatching(/instructions.*PDF/), expect.stringMatching(/title/)]);
    expect(await page.textbox("Title").getAttribute("aria-invalid")).toBe("true");
    await expect.poll(() => page.hasFocus(page.button("Choose files"))).toBe(true);
    expect(stage.proxy.requests.filter(({ path }) => path.startsWith("/api/"))).toEqual([]);
  });

  test("a file that is larger than the server takes, with its name, its size and the limit", async () => {
    const page = await stage.visit();
    page.watch.expect(/status of 413/);
    await page.upload("Castle", stage.files.pdf("castle.pdf", 3 * MIB));
    await page.alert.waitFor();
    const words = await page.alert.innerText();
    for (const part of ["castle.pdf", "3 MiB", "1 MiB"]) expect(words).toContain(part);
    await expect.poll(() => page.hasFocus(page.alert)).toBe(true);

    // One that has a byte too many reads like the limit.
    await page.button("Change files").click();
    await page.removal("castle.pdf").click();
    await page.choose(stage.files.pdf("close.pdf", MIB + 1));
    await page.button("Upload").click();
    await page.alert.getByText("is 1 byte over the limit of 1 MiB").waitFor();

    // Another file in its place, and it works.
    await page.button("Change files").click();
    await page.removal("close.pdf").click();
    await page.choose(stage.files.pdf("small.pdf", MIB));
    await page.button("Upload").click();
    await page.finished("Castle").waitFor();
  });

  test("a file that is not what its name says", async () => {
    const page = await stage.visit();
    page.watch.expect(/status of 422/);
    await page.upload("Notes", stage.files.write("notes.pdf", "These are no instructions."));
    await page.alert.waitFor();
    expect(await page.alert.innerText()).toContain("notes.pdf");
  });
});

describe("a file is taken out", () => {
  const stage = useStage();

  test("once it is rejected, and the others are published", async () => {
    const castle = stage.files.pdf("castle.pdf", MIB);
    const page = await stage.visit();
    page.watch.expect(/status of 422/);
    await page.upload("Castle", castle, stage.files.write("notes.pdf", "These are no instructions."));
    await page.alert.getByText("notes.pdf").first().waitFor();
    const before = stage.proxy.requests.length;
    await page.continuation("notes.pdf").click();
    await page.finished("Castle").waitFor();
    expect(stage.bytesOfParts(before)).toBe(0);
    expect(stage.stored(castle)).toBe(true);
    expect(stage.proxy.requests.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  test("of several that are rejected, one by one", async () => {
    const page = await stage.visit();
    page.watch.expect(/status of 422/);
    const wrong = ["notes.pdf", "letter.pdf"].map((name) => stage.files.write(name, `${name} has no instructions.`));
    await page.upload("Tower", stage.files.pdf("castle.pdf", MIB), ...wrong);
    await page.removal("notes.pdf").click();
    await page.alert.getByText("letter.pdf").first().waitFor();
    await page.removal("letter.pdf").click();
    await page.finished("Tower").waitFor();
  });

  test("while it is sent", async () => {
    const parts = stage.hold(/^PUT /);
    const page = await stage.visit();
    await page.upload("Gate", stage.files.pdf("castle.pdf", MIB), stage.files.pdf("tower.pdf", MIB));
    await parts.has(2);
    await page.removal("tower.pdf").click();
    expect(await page.files.allInnerTexts()).toEqual([expect.stringContaining("castle.pdf")]);
    // The last file stays: without it there is no upload.
    expect(await page.removal("castle.pdf").count()).toBe(0);
    parts.release();
    await page.finished("Gate").waitFor();
  });
});

describe("what failed can be tried again", () => {
  const stage = useStage();

  test("and continues where it was", async () => {
    const file = stage.files.pdf("castle.pdf", 16 * MIB);
    const body = JSON.stringify({ status: 500, code: "INTERNAL_ERROR", detail: "It is broken.", retryable: false });
    stage.proxy.fail(/^POST .*\/complete$/, { response: { status: 500, body } });
    const page = await stage.visit();
    page.watch.expect(/status of 500/);
    await page.upload("Castle", file);
    await page.alert.waitFor();
    const before = stage.proxy.requests.length;
    await page.button("Try again").click();
    await page.finished("Castle").waitFor();
    expect(stage.bytesOfParts(before)).toBe(0);
    expect(stage.stored(file)).toBe(true);
  });
});

describe("signing in", () => {
  const secret = "a secret of these tests alone, long enough";
  const stage = useStage({ jwt_secret: secret, auth_bypass: "false" });

  test("is requested if the server requires a token, and again after it has expired", async () => {
    const names = ["walls", "towers", "gate"];
    const files = [
      stage.files.pdf("castle.pdf", MIB),
      ...names.map((name, index) => stage.files.csv(`${name}.csv`, index + 1)),
    ];
    const parts = stage.hold(/^PUT /);
    const page = await stage.visit();
    page.watch.expect(/status of 401/);
    await page.upload("Castle", ...files);

    const dialog = page.dialog("Sign in");
    const field = dialog.getByLabel("Access token");
    await field.waitFor();
    expect(await field.getAttribute("type")).toBe("password");
    expect(await inspect(page.page, "sign-in")).toEqual([]);

    // One that has expired is rejected, in words.
    await field.fill(accessToken(secret, "builder", -120));
    await page.button("Continue", dialog).click();
    await page.alert.getByText("access token").first().waitFor();
    await page.button("Try again").click();

    // One that expires while the parts are on their way: it is asked for once for all of them.
    const seconds = 3;
    const expired = Date.now() + (seconds + 1) * 1_000;
    await field.fill(accessToken(secret, "builder", seconds - LEEWAY_SECONDS));
    await page.button("Continue", dialog).click();
    await parts.has(4);
    await expect.poll(() => Date.now(), { timeout: 10_000 }).toBeGreaterThan(expired);
    parts.release();
    await field.waitFor();
    await field.fill(accessToken(secret, "builder"));
    await page.button("Continue", dialog).click();
    await page.finished("Castle").waitFor();
    for (const file of files) expect(stage.stored(file), file.name).toBe(true);
    expect(await page.page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain("eyJ");
  });
});
