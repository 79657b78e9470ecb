"use strict";
// Cases of the findings. `given`: url, tokens of two users and an administrator, and the number of findings.
const { assert, expectNoViolations, waitForText, waitUntil } = require("./harness");
const { open } = require("./dashboard");

const count = (page) => page.getByTestId("finding-count");
const grid = (page) => page.getByRole("grid", { name: "Findings" });
const rows = (page) => grid(page).locator('[role="row"][aria-rowindex]:not([aria-rowindex="1"])');

const openFindings = async (t, options = {}) => {
  const page = await open(t, { path: "findings", ...options });
  await waitForText(count(page), /[\d,]+ findings?/);
  await rows(page).first().getByRole("gridcell").nth(1).waitFor();
  return page;
};

/** Return the texts of a column of the visible rows. */
const column = (page, name) =>
  page.evaluate((wanted) => {
    const heads = [...document.querySelectorAll('[role="columnheader"]')];
    const index = heads.findIndex((each) => each.textContent.trim().startsWith(wanted));
    return [...document.querySelectorAll('[role="row"][id]')].map((row) => row.children[index].textContent.trim());
  }, name);

/** Return whether there are texts, and all match: the table is empty while its rows are loaded. */
const all = async (texts, matches) => {
  const found = await texts;
  return found.length > 0 && found.every(matches);
};

module.exports = {
  async "a hundred thousand findings scroll with a bounded number of rows"(t) {
    const page = await openFindings(t);
    const total = Number((await count(page).textContent()).replace(/\D/g, ""));
    assert.ok(total >= t.given.findings, `${total} findings`);
    assert.equal(await grid(page).getAttribute("aria-rowcount"), String(total + 1));
    // Scroll through the table as with a wheel; after each frame, the rows that exist are counted.
    const measured = await grid(page).evaluate(async (element) => {
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      let most = 0;
      let blank = 0;
      for (let step = 0; step < 120; step += 1) {
        element.scrollTop += step % 40 === 39 ? 400_000 : 350;
        await frame();
        await frame();
        const existing = [...element.querySelectorAll('[role="row"]')];
        most = Math.max(most, existing.length);
        const middle = element.getBoundingClientRect().top + element.clientHeight / 2;
        blank += existing.some((row) => {
          const { top, bottom } = row.getBoundingClientRect();
          return top <= middle && bottom >= middle;
        }) ? 0 : 1;
      }
      return { most, blank, nodes: document.querySelectorAll("*").length };
    });
    assert.ok(measured.most <= 80, `${measured.most} rows`);
    assert.ok(measured.nodes < 3000, `${measured.nodes} elements`);
    assert.ok(measured.blank <= 3, `${measured.blank} frames without a row in the middle`);
    // The last row loads.
    await grid(page).evaluate((element) => (element.scrollTop = element.scrollHeight));
    const last = grid(page).locator(`[role="row"][aria-rowindex="${total + 1}"]`);
    await waitForText(last, /\S/);
    await waitUntil(async () => !/Loading/.test(await last.textContent()), "the last row");
  },

  async "filters, sort order and address belong together"(t) {
    const page = await openFindings(t);
    await page.getByRole("checkbox", { name: "Critical" }).check();
    await waitForText(count(page), /with 1 filter/);
    await waitUntil(() => all(column(page, "Severity"), (text) => /critical/i.test(text)), "critical rows");
    await page.getByRole("searchbox", { name: "Host" }).fill("ber-fw*");
    await waitForText(count(page), /with 2 filters/);
    await page.getByRole("columnheader", { name: "Host" }).getByRole("button").click();
    await waitUntil(async () => {
      const hosts = await column(page, "Host");
      return hosts.length > 2 && hosts.every((text) => /^ber-fw/.test(text)) && String([...hosts].sort()) === String(hosts);
    }, "sorted hosts");
    assert.match(page.url(), /severity=critical/);
    // The address shows the same list in another tab.
    const other = await open(t);
    await other.goto(page.url());
    await waitForText(count(other), /with 2 filters/);
    const first = (await column(page, "Host")).slice(0, 5);
    await waitUntil(async () => String((await column(other, "Host")).slice(0, 5)) === String(first), "the same hosts");
    await page.getByRole("button", { name: "Reset filters" }).click();
    await waitUntil(async () => !/filter/.test(await count(page).textContent()), "all findings");
  },

  async "the table changes when an import ends"(t) {
    const page = await openFindings(t);
    await page.getByRole("searchbox", { name: "Host" }).fill("live-host*");
    await waitForText(count(page), /^0 findings/);
    await t.call("import_live");
    await waitForText(count(page), /^2 findings/);
    await waitUntil(async () => (await column(page, "Host")).join().includes("live-host-1"), "the new row");
  },

  async "two browsers see each other editing"(t) {
    const first = await openFindings(t, { token: t.given.alice });
    const second = await openFindings(t, { token: t.given.bob });
    for (const page of [first, second]) await rows(page).first().click();
    const detail = (page) => page.locator(".editing");
    await waitForText(detail(second), /No other user is editing/);
    await detail(first).getByRole("button", { name: "Start editing" }).click();
    await waitForText(detail(second), /alice is editing/);
    await waitForText(rows(second).first(), /alice editing/);
    await detail(second).getByRole("button", { name: "Start editing" }).click();
    // The name of a user is text.
    await waitForText(detail(first), /<img src=x onerror=alert\(1\)> is editing/);
    assert.equal(await first.locator("img").count(), 0);
    await detail(first).getByRole("button", { name: "Stop editing" }).click();
    await waitForText(detail(second), /No other user is editing/);
    // A browser that closes edits no more, after the grace time of the server.
    await second.context().close();
    await waitForText(detail(first), /No other user is editing/);
  },

  async "the keyboard filters, walks through the table and opens a finding"(t) {
    const page = await openFindings(t);
    const tabTo = async (matches) => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press("Tab");
        if (await page.evaluate(matches)) return;
      }
      assert.fail(`not reachable with Tab: ${matches}`);
    };
    await tabTo(() => document.activeElement.closest("label")?.textContent.includes("Search"));
    await page.keyboard.type("-web-");
    await waitForText(count(page), /with 1 filter/);
    await waitUntil(() => all(column(page, "Host"), (text) => text.includes("-web-")), "filtered rows");
    await tabTo(() => document.activeElement.getAttribute("role") === "grid");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const active = () => grid(page).getAttribute("aria-activedescendant");
    await waitUntil(async () => (await active()) === "finding-row-2", "the third row is active");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Start editing" }).waitFor();
    // Escape closes the finding that has the focus.
    await waitUntil(() => page.evaluate(() => document.activeElement.closest("aside") !== null), "the focus in the finding");
    await page.keyboard.press("Escape");
    await waitUntil(async () => (await page.getByRole("button", { name: "Start editing" }).count()) === 0, "closed");
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("role"));
    await waitUntil(async () => (await focused()) === "grid", "the focus is in the table again");
    await page.keyboard.press("End");
    await waitUntil(async () => /finding-row-\d{2,}/.test((await active()) ?? ""), "the last row is active");
  },

  async "the findings are accessible in light and dark and on a phone"(t) {
    for (const options of [
      { colorScheme: "light" },
      { colorScheme: "dark" },
      { colorScheme: "dark", viewport: { width: 360, height: 740 } },
    ]) {
      const page = await openFindings(t, options);
      await expectNoViolations(page, `findings ${JSON.stringify(options)}`);
      await rows(page).first().click();
      await page.getByRole("button", { name: "Start editing" }).waitFor();
      await expectNoViolations(page, `finding ${JSON.stringify(options)}`);
    }
  },
};
