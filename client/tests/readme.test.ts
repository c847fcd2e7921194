/** The first example of each README, run as it stands. */

import { readFile } from "node:fs/promises";

import { afterAll, beforeAll, expect, test } from "vitest";

import { createUpload, UploadError } from "../src/index.js";
import { pdf } from "./support/content.js";
import { file } from "./support/harness.js";
import { type Stack, startStack } from "./support/stack.js";

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.stop());

/** The first piece of code in a page that uses the client, without its imports. */
async function example(path: string): Promise<string> {
  const page = await readFile(new URL(path, import.meta.url), "utf8");
  const blocks = [...page.matchAll(/```[jt]s\n([\s\S]*?)```/g)].map(([, code]) => code!);
  const code = blocks.find((block) => block.includes("createUpload("))!;
  return code.replace(/^import .*\n/gm, "");
}

test.each(["../../README.md", "../README.md"])("the example of %s uploads", async (path) => {
  const chosen = { files: [file(pdf(1_000), "castle.pdf")] };
  const bar = { max: 1, value: 0 };
  const surroundings = {
    createUpload: (options: Parameters<typeof createUpload>[0]) => createUpload({ ...options, baseUrl: stack.baseUrl }),
    UploadError,
    account: { accessToken: () => undefined },
    session: { token: () => undefined },
    fileInput: chosen,
    input: chosen,
    bar,
    left: {},
    link: {},
    pauseButton: {},
    retryButton: {},
    status: {},
  };
  const run = new Function(...Object.keys(surroundings), `return (async () => {${await example(path)}})();`);
  await run(...Object.values(surroundings));
  expect(bar.value / bar.max).toBe(1);
});
