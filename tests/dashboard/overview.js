"use strict";
// Cases of the overview and of exploited vulnerabilities. `given`: url, token, numbers of the database.
const { assert, waitForText, waitUntil } = require("./harness");
const { open, show } = require("./dashboard");

const count = (value) => value.toLocaleString("en-US");
const tile = (page, text) => page.locator(".overview-tiles .tile").filter({ hasText: text });
const card = (page, title) => page.getByRole("region", { name: title });

/** Open the table with the numbers of a chart, and return its rows as texts. */
const numbers = async (page, title) => {
  const summary = card(page, title).getByText("Show the numbers");
  if ((await summary.locator("..").getAttribute("open")) === null) await summary.click();
  return card(page, title)
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
};

/** Wait until the table of a chart has rows, of which only the first cells may be compared. */
const waitForNumbers = async (page, title, expected) => {
  let found;
  const shown = async () => {
    found = await numbers(page, title);
    return found.length === expected.length && expected.every((row, index) => `${row}` === `${found[index].slice(0, row.length)}`);
  };
  await waitUntil(shown, `the numbers of ${title}`).catch((error) => {
    assert.deepEqual(found, expected);
    throw error;
  });
};

/** Return the number of pixels of a chart that are not transparent. */
const painted = (page, title) =>
  card(page, title)
    .locator("canvas")
    .evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, index) => index % 4 === 3 && value > 0).length;
    });

module.exports = {
  async "totals link to the findings that they count"(t) {
    const page = await open(t, { path: "overview" });
    for (const [severity, { number }] of Object.entries(t.given.severities)) {
      await waitForText(tile(page, severity), new RegExp(`${severity}${count(number)}\\D`));
    }
    await tile(page, "Critical").click();
    await waitForText(page.getByTestId("finding-count"), /\d/);
    assert.match(page.url(), /#\/findings\?severity=critical/);
  },

  async "charts are drawn, and their tables have the numbers of the database"(t) {
    const page = await open(t, { path: "overview" });
    const trend = "Open vulnerabilities per scan";
    await waitUntil(async () => (await page.locator("canvas").count()) === 2, "two charts");
    for (const title of [trend, "By severity"]) {
      await waitUntil(async () => (await painted(page, title)) > 500, `${title} is drawn`);
    }
    await waitForNumbers(page, trend, t.given.days.map(([day, ...values]) => [day, ...values.map(count)]));
    const severities = Object.entries(t.given.severities);
    await waitForNumbers(page, "By severity", severities.map(([severity, { number }]) => [severity, count(number)]));
    await page.getByText("Total VPR", { exact: true }).first().click();
    await waitUntil(async () => {
      const [row] = await numbers(page, "By severity");
      return row?.[1] === count(Math.round(t.given.severities.Critical.vpr));
    }, "the sums of VPR");
  },

  async "the hosts most at risk link to their findings"(t) {
    const page = await open(t, { path: "overview" });
    const rows = card(page, "Hosts most at risk").locator("tbody tr");
    await waitUntil(async () => (await rows.count()) === 10, "ten hosts");
    const sums = await rows.locator('[data-label="Total VPR"]').allTextContents();
    assert.deepEqual(sums.map(Number), [...sums.map(Number)].sort((one, other) => other - one));
    await rows.first().getByRole("link").click();
    await waitForText(page.getByTestId("finding-count"), /\d/);
    assert.match(page.url(), /#\/findings\?host=/);
  },

  async "an import changes totals and charts without a reload"(t) {
    const page = await open(t, { path: "overview" });
    const before = await waitForText(tile(page, "Critical"), /\d/);
    await t.call("import_more");
    await waitUntil(async () => (await tile(page, "Critical").textContent()) !== before, "new totals");
    await waitUntil(async () => (await numbers(page, "Open vulnerabilities per scan")).length === 3, "a third day");
  },

  async "a running import is followed on every page until its end"(t) {
    const page = await open(t, { path: "overview" });
    await t.call("report", "POST", "imports", { userId: "1", filename: "producer.csv", totalRecords: 200, importId: 1800000000000 });
    const bar = page.getByRole("progressbar", { name: "Progress of producer.csv" });
    const reaches = async (processed) => {
      await t.call("report", "PATCH", "imports/1800000000000", { processed });
      await waitUntil(async () => (await bar.getAttribute("value")) === String(processed / 2), `${processed} rows`);
      await waitForText(page.getByRole("main"), new RegExp(`${processed} of 200 rows`));
    };
    await reaches(20);
    await show(page, "imports");
    await reaches(60);
    await page.getByRole("list", { name: "Running imports" }).getByRole("link", { name: "producer.csv" }).click();
    await waitForText(page.getByRole("heading", { level: 1 }), /producer\.csv/);
    await reaches(100);
    await page.goBack();
    await reaches(140);
    // The summary of a producer may have any values.
    const summary = { inserted: "many", resolved: 7, notices: "none", warnings: 3, absence: null };
    await t.call("report", "POST", "imports/1800000000000/complete", { processed: 200, summary });
    await bar.waitFor({ state: "detached" });
    await page.getByText("Imports of producers that ended").click();
    await waitForText(page.getByRole("main"), /producer\.csv completed 200 rows/);
    await show(page, "imports?id=1800000000000");
    await waitForText(page.getByRole("list", { name: "Changes" }), /7resolved/);
  },

  async "exploited vulnerabilities are listed by their due date, overdue ones are marked"(t) {
    const page = await open(t, { path: "exploited" });
    const rows = page.locator("tbody tr");
    await waitUntil(async () => (await rows.count()) === t.given.exploited.length, "all matched entries");
    const shown = await rows.evaluateAll((all) =>
      all.map((row) => [row.querySelector("th").textContent, row.querySelector("td").textContent]),
    );
    t.given.exploited.forEach(([cve, due, overdue], index) => {
      assert.match(shown[index][0], new RegExp(`^${cve}`));
      assert.match(shown[index][1], new RegExp(`^${due}${overdue ? "[\\d,]+ days? overdue" : "(in|today)"}`));
    });
    await page.getByRole("checkbox", { name: "Whole catalog" }).check();
    await waitForText(page.getByRole("main"), new RegExp(`${t.given.entries} entries`));
    await page.getByRole("searchbox").fill("No such vendor");
    await page.getByRole("button", { name: "Search" }).click();
    await waitForText(page.getByRole("main"), /No entry matches the search/);
    await page.getByRole("searchbox").fill("");
    await page.getByRole("checkbox", { name: "Whole catalog" }).uncheck();
    await rows.first().getByRole("link").click();
    await waitForText(page.getByTestId("finding-count"), /\d/);
    assert.match(page.url(), new RegExp(`cve=${t.given.exploited[0][0]}`));
  },
};
