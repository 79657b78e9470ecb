"use strict";
// Cases of uploads. `given`: url, token, and the paths of files.
const { readFileSync } = require("node:fs");
const { basename } = require("node:path");
const { assert, expectNoViolations, waitForText, waitUntil } = require("./harness");
const { open, show } = require("./dashboard");

const history = (page) => page.locator('[aria-labelledby="history-title"] table');
const inspection = (page) => page.locator(".inspection");
const heading = (page, name) => page.getByRole("heading", { name });

/** Drop a file on the page as from a file manager. */
const drop = async (page, path) => {
  const transfer = await page.evaluateHandle(
    ([name, text]) => {
      const data = new DataTransfer();
      data.items.add(new File([text], name, { type: "text/csv" }));
      return data;
    },
    [basename(path), readFileSync(path, "utf8")],
  );
  const zone = page.locator(".drop-zone");
  await zone.dispatchEvent("dragover", { dataTransfer: transfer });
  await zone.dispatchEvent("drop", { dataTransfer: transfer });
};

/** Choose a file with the button, as from a file dialog. */
const choose = async (page, path) => {
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.getByRole("button", { name: "Choose a file" }).click(),
  ]);
  await chooser.setFiles(path);
};

const completed = (page, path) =>
  waitForText(history(page).getByRole("row").filter({ hasText: basename(path) }).first(), /Completed/);

module.exports = {
  steps: { choose, inspection },

  async "a dropped file is inspected, imported and completed"(t) {
    const page = await open(t, { path: "imports" });
    await heading(page, "Import a file").waitFor();
    await drop(page, t.given.sample);
    await waitForText(inspection(page), /Tenable/);
    await waitForText(inspection(page), /What the rows change/);
    await expectNoViolations(page, "inspection");
    // Nothing is imported yet.
    assert.equal(await history(page).getByText(basename(t.given.sample)).count(), 0);
    await page.getByRole("button", { name: /^Import [\d,]+ findings$/ }).click();
    await completed(page, t.given.sample);
    await history(page).getByRole("link", { name: basename(t.given.sample) }).first().click();
    await waitForText(page.getByRole("main"), /Completed[^]*new findings/);
    await expectNoViolations(page, "import");
  },

  async "a file of the file dialog is discarded or imported"(t) {
    const page = await open(t, { path: "imports" });
    await choose(page, t.given.small);
    await waitForText(inspection(page), /What the rows change/);
    await page.getByRole("button", { name: "Discard the file" }).click();
    await heading(page, "Import a file").waitFor();
    await choose(page, t.given.small);
    await page.getByRole("button", { name: /^Import 2 findings$/ }).click();
    await completed(page, t.given.small);
  },

  async "a refused file shows the explanation of the server"(t) {
    const page = await open(t, { path: "imports" });
    await choose(page, t.given.unknown);
    const alert = page.getByRole("main").getByRole("alert");
    await waitForText(alert, /cannot be imported/);
    await waitForText(alert, new RegExp(t.given.explanation));
    await expectNoViolations(page, "refusal");
    await page.getByRole("button", { name: "Choose another file" }).click();
    await heading(page, "Import a file").waitFor();
  },

  async "a hostile file is text everywhere"(t) {
    const page = await open(t, { path: "imports" });
    await drop(page, t.given.hostile);
    await waitForText(inspection(page), /<img src=x/);
    await page.getByRole("button", { name: /^Import [\d,]+ findings?$/ }).click();
    await completed(page, t.given.hostile);
    await history(page).getByRole("link", { name: basename(t.given.hostile) }).first().click();
    await waitForText(page.getByRole("main"), /Completed/);
    const elements = () =>
      page.evaluate(() => ({
        foreign: document.querySelectorAll("main img, main script, main iframe, main svg[onload], main [onerror]").length,
        links: [...document.querySelectorAll("a")].filter((a) => !/^https?:/.test(a.href)).map((a) => a.href),
        ran: window.ran ?? null,
      }));
    for (const view of ["overview", "findings", "exploited", "imports"]) {
      await show(page, view);
      await page.getByRole("heading", { level: 1 }).waitFor();
      if (view === "exploited") await waitForText(page.getByRole("main"), /<img src=x/);
      if (view === "findings") {
        const rows = page.getByRole("grid", { name: "Findings" }).locator('[role="row"][id]');
        await page.getByRole("searchbox", { name: "Search" }).fill("<img");
        await waitUntil(async () => {
          const texts = await rows.allTextContents();
          return texts.length > 0 && texts.every((text) => text.includes("<img src=x"));
        }, "the rows of the search");
        await rows.first().click();
        await waitForText(page.locator(".detail"), /<img src=x/);
      }
      assert.deepEqual(await elements(), { foreign: 0, links: [], ran: null }, view);
    }
  },

  async "the keyboard uploads a file"(t) {
    const page = await open(t, { path: "imports" });
    await heading(page, "Import a file").waitFor();
    const tabTo = async (name) => {
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press("Tab");
        if ((await page.evaluate(() => document.activeElement.textContent)).trim().match(name)) return;
      }
      assert.fail(`not reachable with Tab: ${name}`);
    };
    await tabTo(/^Choose a file$/);
    const opened = page.waitForEvent("filechooser");
    await page.keyboard.press("Enter");
    await (await opened).setFiles(t.given.other);
    // The focus moves to the result of the inspection.
    await waitUntil(() => page.evaluate(() => document.activeElement.id === "inspection-title"), "focus");
    await tabTo(/^Import [\d,]+ findings?$/);
    await page.keyboard.press("Enter");
    await completed(page, t.given.other);
    await waitUntil(() => page.evaluate(() => document.activeElement.id === "running-title"), "focus");
  },
};
