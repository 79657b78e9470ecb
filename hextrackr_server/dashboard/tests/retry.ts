import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestError } from "../src/api/errors";
import { retryDelay } from "../src/live/retry";

test("a request is repeated after the time that a busy server names", () => {
  assert.equal(retryDelay(new RequestError("RATE_LIMITED", "busy", [], 7000)), 7000);
  assert.equal(retryDelay(new RequestError("RATE_LIMITED", "busy", [], 10)), 1000);
  assert.equal(retryDelay(new RequestError("UNAVAILABLE", "starting")), 5000);
});

test("a refusal that needs a change is not repeated", () => {
  assert.equal(retryDelay(new RequestError("VALIDATION_ERROR", "invalid")), null);
  assert.equal(retryDelay(new Error("bug")), null);
  assert.equal(retryDelay(null), null);
});

test("a load without a connection waits for the connection", () => {
  assert.equal(retryDelay(new RequestError("OFFLINE", "offline")), null);
});
