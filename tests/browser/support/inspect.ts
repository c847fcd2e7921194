import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AxeResults, RunOptions } from "axe-core";
import type { Page } from "playwright-core";
import { artefact } from "./artefacts.ts";

/** How people look at the page. */
const APPEARANCES = [
  { name: "light", colorScheme: "light", viewport: { width: 1280, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  { name: "390", colorScheme: "light", viewport: { width: 390, height: 844 } },
] as const;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const OPTIONS: RunOptions = { resultTypes: ["violations"] };

/**
 * Looks at what the page shows now, in each appearance. Keeps a screenshot `{state}-{appearance}.png`; gives what axe
 * finds that is serious or critical, and what is wider than the screen.
 */
export async function inspect(page: Page, state: string): Promise<string[]> {
  const before = page.viewportSize();
  // What a dialog darkens ends with the screen.
  const fullPage = (await page.locator("dialog[open]").count()) === 0;
  const faults: string[] = [];
  for (const { name, colorScheme, viewport } of APPEARANCES) {
    // Without motion, so that no colour is caught half-way.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.setViewportSize(viewport);
    const path = artefact(`screenshots/${state}-${name}.png`);
    await page.screenshot({ path, fullPage, animations: "disabled" });
    const found = await violations(page);
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (excess > 0) found.push(`${excess} pixels wider than the screen`);
    faults.push(...found.map((fault) => `${state}, ${name}: ${fault}`));
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  if (before) await page.setViewportSize(before);
  return faults;
}

async function violations(page: Page): Promise<string[]> {
  // By the debugger, whom the page's policy does not bind.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((options) => {
    const axe = Reflect.get(window, "axe") as { run(options: object): Promise<AxeResults> };
    return axe.run(options);
  }, OPTIONS as object);
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary = "" }) => `${id}: ${html}: ${failureSummary}`));
}
