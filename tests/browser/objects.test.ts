/** What a browser does with the files of others at the bucket's URL. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { TestFile } from "./support/files.ts";
import { send } from "./support/http.ts";
import { useStage } from "./support/stage.ts";
import type { UploadPage } from "./support/upload-page.ts";

/** Leaves a mark in its document. */
const SCRIPT = "document.documentElement.setAttribute('ran', 'yes'); document.title = 'ran'";
const LIST = `<?xml version="1.0"?>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>parts</title></head>
<body><script>${SCRIPT}</script></body></html>`;

/** The URL of a file on the page of the finished MOC. */
async function urlOf(page: UploadPage, file: TestFile): Promise<string> {
  return (await page.page.getByRole("link", { name: file.name }).getAttribute("href")) ?? "";
}

describe("with public URLs", () => {
  const stage = useStage();

  test("a parts list in XML with a script is saved, and nothing of it runs", async () => {
    const files = [stage.files.pdf("castle.pdf", 1000), stage.files.write("list.xml", LIST)] as const;
    const page = await stage.visit();
    await page.upload("Castle", ...files);
    await page.finished("Castle").waitFor();
    const url = await urlOf(page, files[1]);
    expect((await send(url)).headers).toMatchObject({
      "content-type": expect.stringMatching(/^text\/xml/),
      "content-disposition": 'attachment; filename="list.xml"',
      "content-security-policy": "default-src 'none'; sandbox",
      "x-content-type-options": "nosniff",
    });

    const tab = await page.page.context().newPage();
    const saving = tab.waitForEvent("download");
    // A navigation that turns into a download fails.
    await expect(tab.goto(url)).rejects.toThrow();
    const saved = await saving;
    expect(saved.suggestedFilename()).toBe("list.xml");
    expect(readFileSync(await saved.path()).equals(files[1].bytes)).toBe(true);
    expect([tab.url(), await tab.title()]).toEqual(["about:blank", ""]);

    // Objects of earlier versions have no disposition: they are shown, and the sandbox stops the script.
    await tab.route(url, async (route) => {
      const response = await route.fetch();
      const { "content-disposition": _, ...headers } = response.headers();
      await route.fulfill({ response, headers });
    });
    await tab.goto(url);
    expect(await tab.title()).toBe("parts");
    expect(await tab.locator("html").getAttribute("ran")).toBeNull();
    // Without the sandbox it runs, so the test would see it.
    await tab.route(url, async (route) => {
      await route.fulfill({ contentType: "text/xml", body: LIST });
    });
    await tab.goto(url);
    expect(await tab.title()).toBe("ran");
  });
});

describe("with a private bucket", () => {
  const stage = useStage({ download_urls: "signed", enable_thumbnail_generation: "true" });

  test("the page shows the thumbnail, its links work, and nobody reads a file without a signature", async () => {
    const files = [stage.files.pdf("castle.pdf", 1000), stage.files.picture("castle.png")] as const;
    const page = await stage.visit();
    await page.upload("Castle", ...files);
    await page.finished("Castle").waitFor();
    await page.showsThumbnail("Castle");
    for (const file of files) {
      const url = await urlOf(page, file);
      expect(url).toContain("X-Amz-Signature=");
      const read = await send(url);
      expect([read.status, read.body.equals(file.bytes)]).toEqual([200, true]);
      expect(read.headers["content-disposition"]).toBe(`inline; filename="${file.name}"`);
      expect((await send(url.split("?")[0] ?? "")).status).toBe(403);
    }
  });
});
