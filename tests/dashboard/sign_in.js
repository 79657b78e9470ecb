"use strict";
// Cases of the sign-in. `given`: url, token and refused tokens, or what a case names.
const { assert, waitForText, waitUntil } = require("./harness");
const { badge, live, signIn, signInForm, upgraded } = require("./dashboard");

// A refused request is an error in the console of the browser.
const REFUSED = /console: Failed to load resource: .* 401/;

// The end of a session may overtake a request of its polling transport, and its upgrade.
const GONE = /console: (Failed to load resource: .* 400 .*\/socket\.io\/|WebSocket (connection to|is closed))/;

const alert = (page) => page.getByRole("main").getByRole("alert");
const account = (page) => page.locator(".account-name");

module.exports = {
  async "a link signs in and leaves no token in the address"(t) {
    const page = await t.newPage();
    const requests = [];
    page.on("request", (request) => requests.push(request));
    await page.goto(t.given.link);
    await upgraded(page); // the reload then cuts no upgrade
    const token = t.given.link.split("#token=")[1];
    await waitForText(account(page), /admin/);
    assert.ok(!page.url().includes("token"), page.url());
    for (const request of requests) {
      assert.ok(!request.url().includes(token), request.url());
      assert.ok(!JSON.stringify(await request.allHeaders()).includes("#token"), request.url());
    }
    await page.reload();
    await upgraded(page);
    // Neither the history nor a second tab of the browser has the token.
    await page.goto(`${t.given.url}/#/findings`);
    await page.goBack();
    assert.ok(!page.url().includes("token"), page.url());
    t.expectErrors(REFUSED);
    const other = await t.newPage({ context: page.context() });
    await other.goto(t.given.url);
    await signInForm(other).waitFor();
  },

  async "the form signs in with a token, also with the scheme of the header"(t) {
    t.expectErrors(REFUSED);
    const page = await t.newPage();
    await page.goto(t.given.url);
    await signInForm(page).waitFor();
    assert.equal(await alert(page).count(), 0);
    await signIn(page, `Bearer ${t.given.token.slice(0, 20)}\n${t.given.token.slice(20)}`);
    await upgraded(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await signInForm(page).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await page.reload();
    await signInForm(page).waitFor();
  },

  async "a refused token is explained"(t) {
    t.expectErrors(REFUSED, GONE);
    const page = await t.newPage();
    await page.goto(`${t.given.url}/#token=${t.given.expired}`);
    await waitForText(alert(page), /refused.*expired/i);
    await signIn(page, "not-a-token");
    await waitForText(alert(page), /refused.*[Ii]nvalid/);
    await signIn(page, t.given.token);
    await live(page);
  },

  async "a session ends while the page is connected"(t) {
    t.expectErrors(REFUSED, GONE);
    const page = await t.newPage();
    await page.goto(t.given.url);
    await signInForm(page).waitFor();
    // On a busy machine, the token may end before the page is connected.
    for (let seconds = 6, isLive = false; !isLive; seconds *= 2) {
      await signIn(page, await t.call("sign_briefly", seconds));
      const end = await waitUntil(async () => {
        if (/Live.*WebSocket/.test(await badge(page).textContent())) return "live";
        return (await alert(page).count()) > 0 && "refused";
      }, "the answer to the token");
      isLive = end === "live";
      if (!isLive) await page.reload();
    }
    await signInForm(page).waitFor();
    await waitForText(alert(page), /expired/i);
    await waitForText(badge(page), /Signed out/);
  },

  async "the session cookie signs in every tab"(t) {
    const context = await t.newContext();
    const { hostname } = new URL(t.given.url);
    await context.addCookies([{ name: "hextrackr.sid", value: t.given.cookie, domain: hostname, path: "/", httpOnly: true }]);
    const pages = [await t.newPage({ context }), await t.newPage({ context })];
    for (const page of pages) {
      await page.goto(t.given.url);
      await upgraded(page);
      await waitForText(account(page), /user 7/);
    }
    t.expectErrors(REFUSED, GONE);
    await t.call("log_out");
    for (const page of pages) await signInForm(page).waitFor();
  },

  async "the page returns signed in when the user logs in elsewhere"(t) {
    t.expectErrors(REFUSED);
    const page = await t.newPage();
    await page.goto(t.given.url);
    await signInForm(page).waitFor();
    const { hostname } = new URL(t.given.url);
    await page.context().addCookies([
      { name: "hextrackr.sid", value: await t.call("log_in"), domain: hostname, path: "/", httpOnly: true },
    ]);
    await page.evaluate(() => window.dispatchEvent(new Event("focus")));
    await live(page);
  },

  async "the keyboard signs in and out"(t) {
    t.expectErrors(REFUSED);
    const page = await t.newPage();
    await page.goto(t.given.url);
    await signInForm(page).waitFor();
    // The field has the focus from the start.
    await waitUntil(() => page.evaluate(() => document.activeElement.matches("input, textarea")), "focus");
    await page.keyboard.type(t.given.token);
    await page.keyboard.press("Enter");
    await upgraded(page);
    const focused = () => page.evaluate(() => document.activeElement.textContent);
    for (let step = 0; (await focused()) !== "Sign out"; step += 1) {
      assert.ok(step < 40, "'Sign out' is not reachable with Tab");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await signInForm(page).waitFor();
  },

  async "a page of another site neither embeds the page nor reaches its window"(t) {
    t.expectErrors(/frame-ancestors|ERR_BLOCKED_BY_RESPONSE|Refused to (frame|display)|Framing/);
    const site = await t.serve(`<iframe src="${t.given.url}/"></iframe><a href="${t.given.url}/#token=${t.given.token}"
      target="_blank" rel="opener">open</a>`);
    const page = await t.newPage();
    await page.goto(site);
    const frame = await waitUntil(() => page.frames()[1], "frame");
    await waitUntil(() => /^chrome-error:/.test(frame.url()), "blocked frame");
    const [opened] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("link").click()]);
    t.watch(opened);
    await live(opened);
    assert.equal(await opened.evaluate(() => window.opener), null);
  },
};
