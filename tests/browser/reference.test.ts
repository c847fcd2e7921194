import { expect, test } from "vitest";
import { useStage } from "./support/stage.ts";

const stage = useStage();

test("the reference shows every operation, and needs nothing from elsewhere", async () => {
  const response = await fetch(`${stage.origin}/api/mocs/uploads/openapi.json`);
  expect(response.status).toBe(200);
  const document = (await response.json()) as { paths: Record<string, Record<string, { summary?: string }>> };
  const summaries = Object.values(document.paths)
    .flatMap((operations) => Object.values(operations))
    .flatMap(({ summary }) => summary ?? []);
  expect(summaries.length).toBeGreaterThanOrEqual(11);

  const { page } = await stage.visit({ path: "/api/mocs/uploads/docs/" });
  const headings = page.getByRole("heading", { level: 2 });
  await expect.poll(() => headings.allInnerTexts(), { timeout: 10_000 }).toEqual(expect.arrayContaining(summaries));
});
