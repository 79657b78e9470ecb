"use strict";
// Cases of an attacker with a page on another host of the same site: the browser sends the cookie of the user.
const { assert, waitUntil } = require("./harness");
const { live } = require("./dashboard");

// Browsers ignore this header of a server without TLS that is not local.
const COOP = /Cross-Origin-Opener-Policy header has been ignored/;

/** Open a browser that is signed in by cookie. */
const victim = async (t) => {
  const context = await t.newContext();
  const { hostname } = new URL(t.given.url);
  await context.addCookies([
    { name: "hextrackr.sid", value: t.given.cookie, domain: hostname, path: "/", httpOnly: true, sameSite: "Lax" },
  ]);
  const page = await t.newPage({ context });
  await page.goto(t.given.url);
  await live(page);
  return context;
};

/** Open a page of the attacker in the browser of the user. */
const attacker = async (t, context) => {
  const page = await t.newPage({ context });
  const { port } = new URL(await t.serve("<title>attack</title>"));
  await page.goto(`http://evil.hextrackr.test:${port}/`);
  return page;
};

module.exports = {
  async "a page of another site cannot change data with the cookie"(t) {
    t.expectErrors(COOP, /console: Failed to load resource: .* 403/, /CORS policy/);
    const context = await victim(t);
    const page = await attacker(t, context);
    for (const path of t.given.routes) {
      const answered = page.waitForResponse((response) => response.url().endsWith(path));
      // Form data and plain text need no preflight request.
      await page.evaluate(async (url) => {
        const body = new FormData();
        body.append("csvFile", new Blob(["asset.name,definition.id\na,1\n"]), "a.csv");
        await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body });
      }, t.given.url + path);
      const response = await answered;
      // Without the cookie, the status would be 401.
      assert.equal(response.status(), 403, path);
    }
  },

  async "a page of another site cannot read data or open a socket with the cookie"(t) {
    t.expectErrors(COOP, /CORS policy/, /Failed to load resource/, /WebSocket connection to/);
    const context = await victim(t);
    const page = await attacker(t, context);
    for (const path of ["/api/session", "/api/findings/export?format=json", "/socket.io/?EIO=4&transport=polling"]) {
      const outcome = await page.evaluate(
        (url) => fetch(url, { credentials: "include" }).then((response) => response.text(), (error) => error.name),
        t.given.url + path,
      );
      assert.equal(outcome, "TypeError", path);
    }
    const outcome = await page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
          socket.onmessage = ({ data }) => resolve(data);
          socket.onclose = () => resolve("closed");
        }),
      t.given.url,
    );
    assert.equal(outcome, "closed");
  },
};
