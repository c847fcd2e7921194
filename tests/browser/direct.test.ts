/** Parts that the page sends straight to the bucket. */

import { describe, expect, test } from "vitest";
import { MIB } from "../../client/tests/support/content.ts";
import type { ProxiedRequest } from "../../client/tests/support/fault-proxy.ts";
import { useStage } from "./support/stage.ts";
import type { UploadPage } from "./support/upload-page.ts";

const THROUGH = /^(?:PUT .*\/parts\/\d+|POST .*\/parts\/batch)$/;
const ASK = /^POST .*\/parts\/urls$/;
const RECORD = /^POST .*\/parts\/stored$/;
/** What the console says of a part that the bucket's rules forbid. */
const FORBIDDEN = /blocked by CORS policy|net::ERR_FAILED/;
const WARNING = /cannot go straight to the bucket/;

describe("with a bucket whose rules each test gives", () => {
  const stage = useStage({ upload_mode: "direct" }, { bucketProxy: true });

  /** What browsers have sent of one part, or of all, to the bucket. */
  const sent = (part = "\\d+"): ProxiedRequest[] =>
    (stage.bucket?.matching(new RegExp(`^PUT .*[?&]partNumber=${part}(?:&|$)`)) ?? []).filter(
      ({ headers }) => headers.origin === stage.origin,
    );

  /** The warnings in the page's console from now on. */
  const warningsOf = ({ page }: UploadPage): string[] => {
    const warnings: string[] = [];
    page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
    return warnings;
  };

  test("a file of several parts: none of them comes to the application, and the bucket has every byte", async () => {
    stage.cors({ exposes: "ETag" });
    const files = [stage.files.pdf("castle.pdf", 16 * MIB), stage.files.picture("castle.png")];
    const page = await stage.visit();
    await page.upload("Castle", ...files);
    await page.finished("Castle").waitFor();
    for (const file of files) {
      expect(stage.stored(file), file.name).toBe(true);
    }
    expect(stage.proxy.matching(THROUGH)).toEqual([]);
    expect(sent().map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(sent().reduce((sum, { bodyBytes }) => sum + bodyBytes, 0)).toBe(16 * MIB + (files[1]?.bytes.length ?? 0));
    for (const { headers } of sent()) {
      expect([headers.authorization, headers.cookie]).toEqual([undefined, undefined]);
    }
    expect(stage.proxy.count(RECORD)).toBeGreaterThanOrEqual(2);
    expect((await page.barValues("All files")).at(-1)).toBe(100);
  });

  test("a pause ends what is under way, and what has arrived is not sent again", async () => {
    stage.cors({ exposes: "ETag" });
    const { page, file, rest } = await stage.halfway("Gate");
    await page.button("Pause").click();
    await page.button("Resume").waitFor();
    await rest.has(0);
    rest.release();
    await page.button("Resume").click();
    await page.finished("Gate").waitFor();
    expect(stage.stored(file)).toBe(true);
    expect([sent("1").length, sent("2").length]).toEqual([1, 1]);
    expect(stage.proxy.matching(THROUGH)).toEqual([]);
  });

  test("a reload in the middle: the same bytes resume it, with what is missing alone", async () => {
    stage.cors({ exposes: "ETag" });
    const { page, file, rest } = await stage.halfway("Tower");
    page.page.once("dialog", (question) => void question.accept());
    await page.page.reload();
    await rest.has(0);
    rest.release();
    const earlier = page.earlier("Tower");
    await expect.poll(() => earlier.innerText()).toContain("10 of 16 MiB stored");
    const before = sent().length;
    await page.resume(earlier, stage.files.write(file.name, file.bytes));
    await page.finished("Tower").waitFor();
    expect(stage.stored(file)).toBe(true);
    expect(sent().length - before).toBe(2);
    expect(stage.proxy.matching(THROUGH)).toEqual([]);
  });

  test("a URL that has expired: another one is asked for, and the upload goes on", async () => {
    stage.cors({ exposes: "ETag" });
    const expired = {
      status: 403,
      body: "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
    };
    stage.bucket?.fail(/^PUT .*[?&]partNumber=2(?:&|$)/, { response: expired });
    const page = await stage.visit();
    page.watch.expect(/status of 403/);
    const file = stage.files.pdf("keep.pdf", 16 * MIB);
    await page.upload("Keep", file);
    await page.finished("Keep").waitFor();
    expect(stage.stored(file)).toBe(true);
    expect(sent("2")).toHaveLength(2);
    // For all parts, and once more for this one. A URL that was signed in the same second is the same.
    expect(stage.proxy.count(ASK)).toBe(2);
    expect(stage.proxy.matching(THROUGH)).toEqual([]);
  });

  test("no rule for the page: the parts go through the application, with one warning", async () => {
    const page = await stage.visit();
    page.watch.expect(FORBIDDEN);
    page.watch.expect(WARNING);
    const warnings = warningsOf(page);
    const file = stage.files.pdf("ruin.pdf", 16 * MIB);
    await page.upload("Ruin", file);
    await page.finished("Ruin").waitFor();
    expect(stage.stored(file)).toBe(true);
    expect(stage.proxy.matching(THROUGH).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(sent()).toEqual([]);
    expect(warnings).toHaveLength(1);
    for (const words of [stage.origin, stage.bucketOrigin, "AllowedMethods: PUT", "ExposeHeaders: ETag"]) {
      expect(warnings[0]).toContain(words);
    }
  });

  test("a rule that hides the ETag: the same, and the warning says that", async () => {
    stage.cors({ exposes: "Date" });
    const page = await stage.visit();
    page.watch.expect(/Refused to get unsafe header "etag"/i);
    page.watch.expect(WARNING);
    const warnings = warningsOf(page);
    const file = stage.files.pdf("wall.pdf", 16 * MIB);
    await page.upload("Wall", file);
    await page.finished("Wall").waitFor();
    expect(stage.stored(file)).toBe(true);
    expect(stage.proxy.matching(THROUGH).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/lack: ExposeHeaders: ETag\./);
  });
});

describe("at the application's own origin, with the local bucket as it is", () => {
  const stage = useStage({ upload_mode: "both" });

  test("a file of several parts arrives byte for byte, without a warning", async () => {
    const page = await stage.visit({ origin: stage.applicationOrigin });
    const parts: string[] = [];
    page.page.on("request", (request) => {
      if (request.method() === "PUT") parts.push(new URL(request.url()).origin);
    });
    const file = stage.files.pdf("castle.pdf", 16 * MIB);
    await page.upload("Castle", file);
    await page.finished("Castle").waitFor();
    expect(stage.stored(file)).toBe(true);
    expect(parts).toEqual(Array(4).fill(stage.bucketOrigin));
  });
});
