import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Write a gzip and a brotli variant of each text file, so that the hub compresses no response. */
function precompress(): Plugin {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  return {
    name: "precompress",
    apply: "build",
    writeBundle({ dir }) {
      for (const entry of readdirSync(dir!, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(html|js|css|svg)$/.test(entry.name)) continue;
        const path = join(entry.parentPath, entry.name);
        const content = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
        writeFileSync(`${path}.br`, brotliCompressSync(content, quality));
      }
    },
  };
}

const LOADER = /vite.preload|rolldown.runtime/;
const SHARED =
  /node_modules.(preact|@preact)\b|src.(api|app|live)\b|src.components.(icon|format|lazy|media|problem|severity|table|toast\.ts)/;

const hub = process.env.HUB ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./", // relative addresses: the page also works under a path prefix of a proxy
  build: {
    outDir: "build",
    emptyOutDir: true,
    target: "es2022",
    license: { fileName: "licenses.json" }, // the packages in the page; scripts/sbom.py reads the file
    assetsInlineLimit: 0, // the Content-Security-Policy has no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: {
        // One chunk for the parts that every view needs: a request costs a round trip, and its head.
        codeSplitting: {
          groups: [
            { name: "loader", test: LOADER, priority: 2 }, // what the entry needs
            { name: "app", test: SHARED, priority: 1 },
          ],
        },
      },
    },
  },
  plugins: [precompress()],
  // `npx vite` serves the sources during development, and forwards the rest to a running hub.
  server: {
    host: "127.0.0.1",
    proxy: { "/api": hub, "/socket.io": { target: hub, ws: true } },
  },
});
