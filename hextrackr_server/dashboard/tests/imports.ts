import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImportJob } from "../src/types/hub";
import { bytes, fieldTitle, outcomeOf } from "../src/views/imports/texts";

const titleOf = (change: Partial<ImportJob>): string =>
  outcomeOf({ status: "completed", error_code: null, undone_at: null, ...change } as ImportJob).title;

test("an import has one outcome, and an undo outweighs the others", () => {
  assert.equal(titleOf({}), "Completed");
  assert.equal(titleOf({ undone_at: 1 }), "Undone");
  assert.equal(titleOf({ status: "cancelled", error_code: "CANCELLED" }), "Canceled");
  assert.equal(titleOf({ status: "failed", error_code: "VALIDATION_ERROR" }), "Failed");
  assert.equal(titleOf({ status: "failed", error_code: "INTERRUPTED" }), "Interrupted");
  for (const status of ["queued", "running"]) assert.equal(titleOf({ status }), "Running");
});

test("sizes of files have a unit", () => {
  assert.deepEqual([0, 999, 1000, 1499, 999_499, 58_315_089].map(bytes), [
    "0 bytes", "999 bytes", "1 kB", "1 kB", "999 kB", "58.3 MB",
  ]);
});

test("fields of findings have names for users", () => {
  assert.deepEqual(["cve", "plugin_name", "first_seen"].map(fieldTitle), ["CVE", "Plugin name", "First seen"]);
});
