import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";
import { isolated } from "../../../components/web/page/catalogue/intl.ts";
import type { TestFile } from "./files.ts";
import type { Watch } from "./watch.ts";

/** The longest wait for something to be seen. */
const PATIENCE_MS = 10_000;
/** Where a document keeps what it has shown, see {@link UploadPage.record}. */
const SHOWN = "shown";

/** What bars and announcements have shown, in order: the bar's name and its value, or the words. */
interface Shown {
  bars: [name: string, percent: number][];
  announcements: string[];
}

/** The page as a person meets it: by roles and names. */
export class UploadPage {
  /** The text that has come by WebSockets and by streams of events, in order. */
  readonly received: string[] = [];
  #sockets = 0;

  constructor(
    readonly page: Page,
    readonly watch: Watch,
  ) {
    page.setDefaultTimeout(PATIENCE_MS);
    // From now on no chooser opens on the screen, however soon a test asks for one.
    page.on("filechooser", () => {});
  }

  /** Writes down which WebSockets open, what comes by them and by streams of events, and what bars and announcements show in documents that are opened later. */
  async record(): Promise<void> {
    const browser = await this.page.context().newCDPSession(this.page);
    browser.on("Network.webSocketHandshakeResponseReceived", () => (this.#sockets += 1));
    browser.on("Network.webSocketFrameReceived", ({ response }) => this.received.push(response.payloadData));
    const keep = (base64: string) => base64 && this.received.push(Buffer.from(base64, "base64").toString());
    const streams = new Set<string>();
    browser.on("Network.dataReceived", ({ requestId, data = "" }) => streams.has(requestId) && keep(data));
    browser.on("Network.responseReceived", async ({ requestId, response }) => {
      if (response.mimeType !== "text/event-stream") return;
      streams.add(requestId);
      // A stream that has ended meanwhile has no content.
      const content = await browser.send("Network.streamResourceContent", { requestId }).catch(() => undefined);
      keep(content?.bufferedData ?? "");
    });
    await browser.send("Network.enable");
    await this.page.addInitScript((key) => {
      const shown: Shown = { bars: [], announcements: [] };
      Reflect.set(window, key, shown);
      const last = new Map<string, number>();
      const look = () => {
        for (const bar of document.querySelectorAll('[role="progressbar"]')) {
          const [name, value] = [bar.getAttribute("aria-label") ?? "", Number(bar.getAttribute("aria-valuenow"))];
          if (last.get(name) !== value) shown.bars.push([name, value]);
          last.set(name, value);
        }
        const words = document.querySelector('[role="status"]')?.textContent ?? "";
        if (shown.announcements.at(-1) !== words) shown.announcements.push(words);
      };
      const changes = { subtree: true, childList: true, characterData: true, attributeFilter: ["aria-valuenow"] };
      new MutationObserver(look).observe(document, changes);
    }, SHOWN);
  }

  #shown(): Promise<Shown> {
    return this.page.evaluate((key) => Reflect.get(window, key) as Shown, SHOWN);
  }

  /** Every value that a bar has shown in this document. */
  async barValues(name: string): Promise<number[]> {
    return (await this.#shown()).bars.flatMap(([bar, percent]) => (bar === name ? [percent] : []));
  }

  /** Everything that was announced to screen readers in this document, without the marks around names. */
  async announcements(): Promise<string> {
    return (await this.#shown()).announcements.join("\n").replace(/[\u2066-\u2069]/g, "");
  }

  /** Waits until the page is connected to the broadcaster. */
  async isConnected(): Promise<void> {
    await expect.poll(() => this.#sockets, { timeout: PATIENCE_MS }).toBeGreaterThan(0);
  }

  /** Has the page believe that nobody sees it, or that somebody does again. */
  async hide(isHidden: boolean): Promise<void> {
    await this.page.evaluate((isHidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  }

  /** Chooses files by the chooser that the button opens. */
  async choose(...files: TestFile[]): Promise<void> {
    await this.#chooseBy(this.button("Choose files"), files);
  }

  /** Chooses files to continue with an earlier upload. */
  async resume(earlier: Locator, ...files: TestFile[]): Promise<void> {
    await this.#chooseBy(this.button("Resume", earlier), files);
  }

  async #chooseBy(button: Locator, files: TestFile[]): Promise<void> {
    const [chooser] = await Promise.all([this.page.waitForEvent("filechooser"), button.click()]);
    await chooser.setFiles(files.map(({ path }) => path));
  }

  /** Drops files and folders on the form, as from the desktop. */
  async drop(...paths: string[]): Promise<void> {
    const { x = 0, y = 0 } = (await this.textbox("Title").boundingBox()) ?? {};
    const browser = await this.page.context().newCDPSession(this.page);
    // The mask allows to copy.
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await browser.send("Input.dispatchDragEvent", { type, x: x + 1, y: y + 1, data });
    }
  }

  /** The second click of a double click, on what is there by now. */
  async clickAgain(target: Locator): Promise<void> {
    await target.hover();
    await this.page.mouse.down({ clickCount: 2 });
    await this.page.mouse.up({ clickCount: 2 });
  }

  /** Chooses files, names the MOC, and starts the upload. */
  async upload(title: string, ...files: TestFile[]): Promise<void> {
    await this.choose(...files);
    await this.textbox("Title").fill(title);
    await this.button("Upload").click();
  }

  textbox(name: string): Locator {
    return this.page.getByRole("textbox", { name, exact: true });
  }

  button(name: string, within: Locator | Page = this.page): Locator {
    return within.getByRole("button", { name, exact: true });
  }

  /** The button that takes a chosen file back, or a file out of an upload. */
  removal(fileName: string): Locator {
    return this.button(`Remove ${isolated(fileName)}`);
  }

  /** The button by which an upload continues without a file that has failed. */
  continuation(fileName: string): Locator {
    return this.button(`Continue without ${isolated(fileName)}`);
  }

  dialog(name: string): Locator {
    return this.page.getByRole("dialog", { name });
  }

  /** The rows of the files of this upload. */
  get files(): Locator {
    return this.page.getByRole("list", { name: "Files" }).getByRole("listitem");
  }

  bar(name: string): Locator {
    return this.page.getByRole("progressbar", { name, exact: true });
  }

  /** Waits until a bar shows this, 0 to 100. */
  async shows(name: string, percent: number): Promise<void> {
    const shown = () => this.bar(name).getAttribute("aria-valuenow");
    await expect.poll(shown, { timeout: PATIENCE_MS }).toBe(String(percent));
  }

  /** Speed and time left. */
  get rate(): Locator {
    return this.page.getByTestId("rate");
  }

  /** What went wrong. There are empty places as well, for what may yet. */
  get alert(): Locator {
    return this.page.getByRole("alert").filter({ hasText: /\S/ });
  }

  /** The row of an earlier upload. */
  earlier(title: string): Locator {
    const section = this.page.getByRole("region", { name: "Earlier uploads" });
    return section.getByRole("listitem").filter({ hasText: title });
  }

  /** The heading of the finished MOC; those of earlier uploads are one level below. */
  finished(title: string): Locator {
    return this.page.getByRole("heading", { name: title, exact: true, level: 2 });
  }

  /** Waits until the thumbnail of a MOC is there to be seen. */
  async showsThumbnail(title: string): Promise<void> {
    const image = this.page.getByRole("img", { name: `Thumbnail of ${isolated(title)}` });
    const width = () => image.evaluate((image) => (image as HTMLImageElement).naturalWidth);
    await expect.poll(width, { timeout: PATIENCE_MS }).toBeGreaterThan(0);
  }

  /** Presses the Tab key until this has the focus. */
  async tabTo(target: Locator): Promise<void> {
    await target.waitFor();
    for (let presses = 0; !(await this.hasFocus(target)); presses += 1) {
      expect(presses, `presses of Tab to ${target}`).toBeLessThan(50);
      await this.page.keyboard.press("Tab");
    }
  }

  hasFocus(target: Locator): Promise<boolean> {
    return target.evaluate((element) => element === document.activeElement);
  }
}
