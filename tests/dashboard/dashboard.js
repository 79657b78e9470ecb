"use strict";
// Functions for all cases of the dashboard: open the page with a login, read its connection state.
const { waitForText } = require("./harness");

const badge = (page) => page.getByRole("banner").getByText(/^Connection: /).locator("..");

/** Wait until the page is signed in and receives events. */
const live = (page) => waitForText(badge(page), /Live/);

/** Wait until the page is live on its last transport: a disconnect then cuts no request and no upgrade. */
const upgraded = (page) => waitForText(badge(page), /Live.*WebSocket/);

/** Open the page with a token in the address. */
const open = async (t, { token = t.given.token, path = "", ...options } = {}) => {
  const page = await t.newPage(options);
  await page.goto(`${t.given.url}/#token=${token}`);
  await live(page);
  if (path) await show(page, path);
  return page;
};

/** Go to a view of the page: "findings?severity=critical". */
const show = (page, path) => page.evaluate((hash) => (location.hash = hash), `#/${path}`);

const signInForm = (page) => page.getByRole("heading", { name: "Sign in" });

const signIn = async (page, token) => {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
};

module.exports = { badge, live, open, show, signIn, signInForm, upgraded };
