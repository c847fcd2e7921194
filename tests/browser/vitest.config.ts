import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["*.test.ts"],
    globalSetup: "support/clean.ts",
    // One browser and one stack at a time.
    fileParallelism: false,
    testTimeout: 60_000,
    // A reconnection alone may take several seconds.
    expect: { poll: { timeout: 10_000 } },
    // The first start of a stack compiles every component.
    hookTimeout: 120_000,
  },
});
