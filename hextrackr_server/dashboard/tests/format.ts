import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, day, duration, score } from "../src/components/format";

test("durations have at most two units", () => {
  assert.deepEqual(
    [400, 45_000, 60_000, 185_000, 3_600_000, 7_860_000].map(duration),
    ["0 s", "45 s", "1 min", "3 min 5 s", "1 h", "2 h 11 min"],
  );
});

test("numbers have their unit", () => {
  assert.equal(counted(1, "finding"), "1 finding");
  assert.equal(counted(34431, "finding"), "34,431 findings");
  assert.equal(counted(0, "entry", "entries"), "0 entries");
});

test("missing values are dashes", () => {
  assert.deepEqual([score(null), score(7), day(null), day("2025-09-30")], ["–", "7.0", "–", "2025-09-30"]);
});
