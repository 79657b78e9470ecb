import assert from "node:assert/strict";
import { test } from "node:test";
import { link, parse } from "../src/app/address";

test("an address contains the view and its parameters", () => {
  const { view, parameters } = parse("#/findings?severity=critical&host=a%26b");
  assert.equal(view, "findings");
  assert.deepEqual([...parameters], [["severity", "critical"], ["host", "a&b"]]);
});

test("an empty address is that of the overview", () => {
  assert.equal(parse("").view, "overview");
  assert.equal(parse("#/").view, "overview");
});

test("a link leads to the same view", () => {
  const { view, parameters } = parse(link("findings", { search: "a?b#c&d=e" }));
  assert.equal(view, "findings");
  assert.equal(parameters.get("search"), "a?b#c&d=e");
  assert.equal(link("imports"), "#/imports");
});
