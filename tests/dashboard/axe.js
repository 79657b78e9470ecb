"use strict";
// Accessibility rules of axe-core, run in a page whose policy allows no inline scripts.
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");

const SOURCE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const REPORTED = ["serious", "critical"];

/** Fail if axe-core has serious or critical findings in a page. */
const expectNoViolations = async (page, view) => {
  // The debugger evaluates the source: the Content-Security-Policy of the page does not apply to it.
  await page.evaluate(SOURCE);
  const violations = await page.evaluate(async (values) => {
    const result = await globalThis.axe.run(document, { runOnly: { type: "tag", values } });
    return result.violations.map(({ id, impact, help, nodes }) => ({
      id, impact, help, nodes: nodes.map((node) => `${node.html.slice(0, 200)}: ${node.failureSummary}`),
    }));
  }, TAGS);
  const serious = violations.filter(({ impact }) => REPORTED.includes(impact));
  assert.deepEqual(serious, [], `axe-core has findings in ${view}`);
};

module.exports = { expectNoViolations };
