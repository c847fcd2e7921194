import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    // The stack's first start compiles every component.
    hookTimeout: 150_000,
    testTimeout: 30_000,
    // Each file that needs a stack starts its own.
    maxWorkers: 2,
  },
});
