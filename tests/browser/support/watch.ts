import type { Page } from "playwright-core";

/** What nobody may find in the browser's console, or in the page's requests. */
export class Watch {
  readonly #found: string[] = [];
  readonly #expected: RegExp[] = [];

  /** `origins`: all that the page may speak to. */
  constructor(page: Page, origins: ReadonlySet<string>) {
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.#note(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.#note(`uncaught: ${error.stack ?? error.message}`));
    page.on("crash", () => this.#note("the page has crashed"));
    const speaksTo = (url: string) => {
      const { protocol, origin } = new URL(url);
      if (!["data:", "blob:"].includes(protocol) && !origins.has(origin)) this.#note(`a request to ${url}`);
    };
    page.on("request", (request) => speaksTo(request.url()));
    page.on("websocket", (socket) => speaksTo(socket.url()));
  }

  /** From now on messages like this are what the test is about: those of a rejected request, for example. */
  expect(message: RegExp): void {
    this.#expected.push(message);
  }

  /** What was found and not expected. */
  get found(): readonly string[] {
    return this.#found;
  }

  #note(message: string): void {
    if (!this.#expected.some((expected) => expected.test(message))) this.#found.push(message);
  }
}
