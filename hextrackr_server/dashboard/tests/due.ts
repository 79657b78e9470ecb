import assert from "node:assert/strict";
import { test } from "node:test";
import { dueText } from "../src/views/exploited/due";

test("due dates name the days that are left or over", () => {
  const now = "2026-03-01";
  const expected = {
    "2026-03-01": "today",
    "2026-03-02": "in 1 day",
    "2026-02-28": "1 day overdue",
    "2026-04-01": "in 31 days",
    "2024-03-01": "730 days overdue",
    "": "",
  };
  for (const [day, text] of Object.entries(expected)) assert.equal(dueText(day, now), text);
});
