import assert from "node:assert/strict";
import { test } from "node:test";
import { rates } from "../src/views/admin/samples";

const sample = (timestamp: number, events: number) => ({ timestamp, gauges: { events } });
const ratesOf = (...samples: ReturnType<typeof sample>[]) => rates(samples, ({ gauges }) => Number(gauges.events));

test("rates are the growth per second between two samples", () => {
  assert.deepEqual(ratesOf(sample(0, 10), sample(2000, 30), sample(3000, 30)), [null, 10, 0]);
});

test("a restart of the server has no rate", () => {
  assert.deepEqual(ratesOf(sample(0, 500), sample(2000, 4), sample(4000, 8)), [null, null, 2]);
});

test("two samples of the same moment have no rate", () => {
  assert.deepEqual(ratesOf(sample(1000, 1), sample(1000, 2)), [null, null]);
});
