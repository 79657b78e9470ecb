"use strict";
// Cases of administrators. `given`: url, token (of an administrator), user (of this case only), user_token, kev
// (numbers of the catalog).
const { assert, expectNoViolations, waitForText, waitUntil } = require("./harness");
const { live, open, show, upgraded } = require("./dashboard");

const card = (page, title) => page.getByRole("region", { name: title });
const main = (page) => page.getByRole("main");
const openUser = (t) => open(t, { token: t.given.user_token });

module.exports = {
  async "an announcement reaches another user as text"(t) {
    const user = await openUser(t);
    const page = await open(t, { path: "admin" });
    const text = "Scanners stop at 22:00 <img src=x onerror=alert(1)>";
    await page.getByLabel("Message to all users").fill(text);
    await page.getByLabel("Priority").selectOption("high");
    await page.getByRole("button", { name: "Send the announcement" }).click();
    await user.getByText(text).first().waitFor();
    await page.getByText("The announcement is sent").waitFor();
    assert.equal(await page.getByLabel("Message to all users").inputValue(), "");
  },

  async "maintenance is scheduled and canceled for all users"(t) {
    const user = await openUser(t);
    const page = await open(t, { path: "admin" });
    await page.getByRole("spinbutton", { name: "Minutes" }).fill("45");
    await page.getByLabel("Message (optional)").fill("Database upgrade");
    await page.getByRole("button", { name: "Schedule the maintenance" }).click();
    const windows = page.getByRole("list", { name: "Maintenance windows" });
    await waitForText(windows, /Planned.*for 45 min.*Database upgrade/);
    await user.getByText("Database upgrade").first().waitFor();
    await expectNoViolations(page, "administration");
    await windows.getByRole("button", { name: /^Cancel the maintenance/ }).click();
    await windows.waitFor({ state: "detached" });
  },

  async "a refused request shows the explanation of the server"(t) {
    const page = await open(t, { path: "admin" });
    await page.getByLabel("Start (local time)").fill("2020-01-01T00:00");
    await page.getByRole("button", { name: "Schedule the maintenance" }).click();
    await waitForText(card(page, "Maintenance").getByRole("alert"), /must be in the future/);
  },

  async "clients are listed, and an administrator disconnects one"(t) {
    const user = await openUser(t);
    const page = await open(t, { path: "admin" });
    const clients = card(page, /^Connected clients/);
    await page.getByLabel("User ID").fill(t.given.user);
    await page.getByRole("button", { name: "Show" }).click();
    const row = clients.getByRole("row").filter({ hasText: "this page" });
    // A page has one row for each of its namespaces.
    await waitUntil(async () => (await row.count()) === 0, "the rows of the administrator to leave the list");
    await clients.getByRole("button", { name: new RegExp(`^Disconnect ${t.given.user} in /`) }).first().click();
    const dialog = page.getByRole("dialog");
    await waitForText(dialog, new RegExp(`Disconnect ${t.given.user}\\?`));
    await expectNoViolations(page, "dialog");
    await upgraded(user);
    // The page of the user returns by itself, within a second: a script of the page notes the banner.
    await user.evaluate(() => {
      const note = () => { window.hasLost ||= document.querySelector("[data-testid=connection-banner]") !== null; };
      new MutationObserver(note).observe(document.body, { childList: true, subtree: true });
    });
    await dialog.getByRole("button", { name: "Disconnect the client" }).click();
    await page.getByText(`The client of ${t.given.user} is disconnected`).waitFor();
    await waitUntil(() => user.evaluate(() => window.hasLost), "the banner of the user");
    await live(user);
  },

  async "metrics are drawn live"(t) {
    const page = await open(t, { path: "admin" });
    const metrics = card(page, "Metrics");
    await waitUntil(async () => (await metrics.locator("canvas").count()) === 4, "four charts");
    const samples = () => metrics.getByText(/^up for/).textContent();
    const first = await samples();
    await waitUntil(async () => (await samples()) !== first, "a second sample");
    await metrics.getByText("All numbers").click();
    await waitForText(metrics.getByRole("row").filter({ hasText: "events total" }), /\d/);
  },

  async "the catalog is synchronized with its progress"(t) {
    const page = await open(t, { path: "admin" });
    const kev = card(page, /KEV/);
    await waitForText(kev, /0 entries/);
    await t.call("write_catalog");
    await page.getByRole("button", { name: "Synchronize now" }).click();
    await waitForText(kev, new RegExp(`${t.given.kev.entries} new, 0 changed, 0 removed`));
    await waitForText(kev, new RegExp(`${t.given.kev.entries} entries.*1 with open findings`));
    await show(page, "exploited");
    await waitForText(main(page), new RegExp(t.given.kev.cve));
  },

  async "users have no administration"(t) {
    const user = await openUser(t);
    const pages = user.getByRole("navigation", { name: "Pages" });
    await pages.getByRole("link", { name: "Imports" }).waitFor();
    assert.equal(await pages.getByRole("link", { name: "Administration" }).count(), 0);
    await show(user, "admin");
    await waitForText(main(user), /requires an administrator/);
  },

  async "administration works with the keyboard on a phone"(t) {
    const page = await open(t, { path: "admin", viewport: { width: 390, height: 844 } });
    await card(page, "Metrics").locator("canvas").first().waitFor();
    await expectNoViolations(page, "administration on a phone");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} pixels too wide`);
    await page.getByLabel("Message to all users").focus();
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("The announcement is sent").waitFor();
  },

  async "an import is undone after a confirmation"(t) {
    const page = await open(t, { path: "imports?id=1" });
    await page.getByRole("button", { name: "Undo import 1" }).click();
    const dialog = page.getByRole("dialog");
    await waitForText(dialog, /as they were before the import of one\.csv/);
    await dialog.getByRole("button", { name: "Keep the import" }).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo import 1" }).click();
    await page.getByRole("button", { name: "Undo the import" }).click();
    await waitForText(page.getByRole("heading", { level: 1 }), /Undone/);
    await page.getByRole("button", { name: "Undo import 1" }).waitFor({ state: "detached" });
    await show(page, "overview");
    await waitForText(main(page), /There are no open findings/);
    await expectNoViolations(page, "overview without findings");
  },
};
