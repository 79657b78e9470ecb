import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../src/live/backoff";

test("delays double up to the last one", () => {
  const backoff = new Backoff(500, 3000, () => 1);
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.next()), [500, 1000, 2000, 3000, 3000]);
});

test("delays are between half of a step and all of it", () => {
  assert.equal(new Backoff(500, 3000, () => 0).next(), 250);
});

test("reset begins again with the first delay", () => {
  const backoff = new Backoff(500, 3000, () => 1);
  backoff.next();
  backoff.reset();
  assert.equal(backoff.next(), 500);
});
