import { defineConfig } from "vite";

/** Compiles the unit tests, because Node 20 runs no TypeScript. */
export default defineConfig({
  build: { ssr: "tests/all.ts", outDir: "node_modules/.tests", emptyOutDir: true, target: "es2022" },
});
