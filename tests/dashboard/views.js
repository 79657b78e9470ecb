"use strict";
// Cases of all views. `given`: url, token of an administrator.
const { assert, expectNoViolations, waitForText, waitUntil } = require("./harness");
const { open, show } = require("./dashboard");

/** The views, and text that each shows with its data. */
const VIEWS = {
  overview: /Hosts/,
  imports: /Imports of all users[^]*Completed/,
  findings: /[\d,]+ findings/,
  exploited: /CVE-\d{4}-\d+/,
  editing: /Editing/,
  notifications: /Notifications/,
  admin: /Connected clients/,
};

const loaded = async (page, view) => {
  await show(page, view);
  await page.getByRole("heading", { level: 1 }).waitFor();
  const main = page.getByRole("main");
  await waitForText(main, VIEWS[view]);
  await waitUntil(async () => !/Loading/.test(await main.textContent()), `${view} is loaded`);
};

const check = async (t, options, view) => {
  const page = await open(t, options);
  for (const each of view ? [view] : Object.keys(VIEWS)) {
    await loaded(page, each);
    await expectNoViolations(page, `${each} ${JSON.stringify(options)}`);
    const [content, width] = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return [scrollWidth, clientWidth];
    });
    assert.ok(content <= width, `${each} is ${content} pixels wide on ${width} pixels`);
  }
};

module.exports = {
  async "the views are accessible in light colors"(t) {
    await check(t, { colorScheme: "light" });
  },

  async "the views are accessible in dark colors"(t) {
    await check(t, { colorScheme: "dark" });
  },

  async "the views are accessible on a phone"(t) {
    await check(t, { colorScheme: "dark", viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
  },

  async "the views are accessible with large text"(t) {
    // 400 % of 1280 pixels (WCAG 1.4.10).
    await check(t, { colorScheme: "light", viewport: { width: 320, height: 256 } });
  },

  async "the navigation works with the keyboard"(t) {
    const page = await open(t);
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to content");
    for (let step = 0; (await focused()) !== "Findings"; step += 1) {
      assert.ok(step < 30, "'Findings' is not reachable with Tab");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Findings" }).waitFor();
    await waitUntil(() => page.evaluate(() => document.activeElement.id === "content"), "focus on the content");
    await waitUntil(async () => (await page.title()) === "Findings · HexTrackr", "the title");
    await page.goBack();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  },

  async "a user without rights of an administrator has no administration"(t) {
    const page = await open(t, { token: t.given.user });
    await page.getByRole("navigation").getByText("Findings").waitFor();
    assert.equal(await page.getByRole("link", { name: "Administration" }).count(), 0);
    await show(page, "admin");
    await page.getByRole("heading", { name: "For administrators" }).waitFor();
  },

  async "an announcement reaches all pages"(t) {
    const user = await open(t, { token: t.given.user });
    const page = await open(t, { path: "admin" });
    const text = `<b>Backup</b> at noon ${Date.now()}`;
    await page.getByRole("textbox", { name: "Message" }).first().fill(text);
    await page.getByRole("button", { name: /Announce|Send/ }).first().click();
    await waitForText(user.locator("body"), new RegExp(text));
    assert.equal(await user.locator("b", { hasText: "Backup" }).count(), 0);
  },
};
