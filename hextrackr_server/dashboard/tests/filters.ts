import assert from "node:assert/strict";
import { test } from "node:test";
import { countFilters, nextSort, readFilters, toQuery, toRequest } from "../src/views/findings/filters";

const read = (query: string) => readFilters(new URLSearchParams(query));

test("an address without filters selects open findings", () => {
  assert.deepEqual(toRequest(read("")), { state: "open" });
  assert.equal(countFilters(read("")), 0);
});

test("filters of an address become those of the hub", () => {
  const filters = read("search=nx-os&severity=critical,high&state=all&isKev=true&host=fw*");
  const wanted = { search: "nx-os", severity: ["critical", "high"], state: "all", isKev: true, host: "fw*" };
  assert.deepEqual(toRequest(filters), wanted);
  assert.equal(countFilters(filters), 5);
  assert.equal(toQuery(filters).severity, "critical,high");
});

test("an unknown state of an address is ignored", () => {
  assert.equal(read("state=%3Cscript%3E").state, "open");
});

test("a second click reverses the order of a column", () => {
  assert.equal(nextSort("-vpr_score", "hostname", false), "hostname");
  assert.equal(nextSort("hostname", "hostname", false), "-hostname");
  assert.equal(nextSort("-hostname", "hostname", false), "hostname");
  assert.equal(nextSort("hostname", "cvss_score", true), "-cvss_score");
});
