"use strict";
// Screenshots in light and dark and on a phone. `given` has the address of a server and the folder of the files.
const { waitForText, waitUntil } = require("./harness");
const { open, show } = require("./dashboard");
const { choose, inspection } = require("./uploads").steps;

const LOOKS = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

/** Take a screenshot of a page that has loaded everything and has no focus. */
const take = async (page, path) => {
  const main = page.getByRole("main");
  await waitUntil(async () => !/Loading/.test(await main.textContent()), "loaded");
  // Charts are drawn after their data has arrived.
  if ((await main.locator(".chart").count()) > 0) await main.locator("canvas").first().waitFor();
  await page.evaluate(() => {
    document.activeElement.blur();
    window.scrollTo(0, 0);
  });
  await page.screenshot({ path });
};

module.exports = {
  async "dashboard"(t) {
    const path = (view, look) => `${t.given.folder}/${view}-${look}.png`;
    for (const [look, options] of Object.entries(LOOKS)) {
      const page = await open(t, { locale: "en-GB", ...options });
      for (const view of ["overview", "findings", "exploited", "imports", "admin"]) {
        await show(page, view);
        await page.getByRole("heading", { level: 1 }).waitFor();
        if (view === "findings" && look !== "phone") {
          await page.locator('[role="row"][id]').nth(2).click();
          await page.getByRole("button", { name: "Start editing" }).waitFor();
        }
        if (view === "imports") {
          await choose(page, t.given.file);
          await waitForText(inspection(page), /What the rows change/);
        }
        await take(page, path(view, look));
      }
    }
  },

  async "sign-in"(t) {
    t.expectErrors(/401/);
    for (const [look, options] of Object.entries(LOOKS)) {
      const page = await t.newPage(options);
      await page.goto(t.given.url);
      await page.getByRole("button", { name: "Sign in" }).waitFor();
      await take(page, `${t.given.folder}/sign-in-${look}.png`);
    }
  },

  async "playground"(t) {
    for (const [look, options] of Object.entries(LOOKS)) {
      const page = await t.newPage(options);
      await page.goto(`${t.given.url}/playground/`);
      await waitForText(page.locator("#status"), /Not connected/);
      await page.getByRole("button", { name: "Connect", exact: true }).click();
      await waitForText(page.locator("#fact-transport"), /websocket/);
      await page.getByLabel("Event", { exact: true }).fill("echo");
      await page.getByLabel("Arguments (a JSON array)").fill('["hello", {"room": "lobby"}]');
      await page.getByRole("button", { name: "Emit", exact: true }).click();
      await waitForText(page.locator("#answer"), /Acknowledged/);
      await page.evaluate(() => {
        document.activeElement.blur();
        window.scrollTo(0, 0);
      });
      await page.screenshot({ path: `${t.given.folder}/playground-${look}.png` });
    }
  },
};
