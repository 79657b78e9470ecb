"use strict";
// Cases of lost connections and slow networks. `given`: url, token.
const { assert, waitForText, waitUntil } = require("./harness");
const { badge, live, open, show } = require("./dashboard");
const { Network, Prefix } = require("./proxies");

// Requests while the server or the network is away are errors in the console.
const AWAY = [/Failed to load resource/, /WebSocket connection to/, /WebSocket is closed/];

const banner = (page) => page.getByTestId("connection-banner");
const history = (page) => page.locator('[aria-labelledby="history-title"] table');
/** The row of a file in the list of imports. */
const entry = (page, name) => history(page).getByRole("row").filter({ hasText: name });

/** Wait until the network has been away for some seconds, as the page counts them. */
const waitForSeconds = (page, seconds) =>
  waitUntil(async () => {
    const found = /lost (\d+) s ago/.exec((await banner(page).textContent().catch(() => "")) ?? "");
    return found && Number(found[1]) >= seconds;
  }, `offline for ${seconds} s`);

module.exports = {
  async "nothing is missed after 4 and 25 seconds without a network"(t) {
    t.expectErrors(...AWAY);
    const outages = [];
    for (const seconds of [4, 25]) outages.push({ seconds, page: await open(t, { path: "imports" }) });
    const before = await t.call("import_file");
    for (const { page } of outages) {
      await waitForText(entry(page, before), /Completed/);
      await page.context().setOffline(true);
      await waitForText(banner(page), /Connection lost/);
    }
    const missed = [await t.call("import_file"), await t.call("import_file")];
    for (const { seconds, page } of outages) {
      await waitForSeconds(page, seconds);
      assert.equal(await entry(page, missed[0]).count(), 0);
      await page.context().setOffline(false);
      await live(page);
      await waitForText(badge(page), /recovered/);
      for (const name of missed) await waitForText(entry(page, name), /Completed/);
    }
  },

  async "a network that loses everything without a notice is detected"(t) {
    t.expectErrors(...AWAY);
    const network = new Network(Number(new URL(t.given.url).port));
    try {
      const page = await t.newPage();
      await page.goto(`${await network.start()}/#token=${t.given.token}`);
      await live(page);
      await show(page, "imports");
      await waitForText(entry(page, await t.call("import_file")), /Completed/);
      network.stall();
      await waitForText(banner(page), /Connection lost/);
      const missed = await t.call("import_file");
      network.resume();
      await live(page);
      await waitForText(entry(page, missed), /Completed/);
    } finally {
      network.close();
    }
  },

  async "the page works below the path of a proxy"(t) {
    const proxy = new Prefix(Number(new URL(t.given.url).port), "/tools/hub");
    try {
      const page = await t.newPage();
      await page.goto(`${await proxy.start()}/#token=${t.given.token}`);
      await live(page);
      await waitForText(badge(page), /WebSocket/);
      await show(page, "imports");
      await waitForText(entry(page, await t.call("import_file")), /Completed/);
    } finally {
      proxy.close();
    }
  },

  async "the page returns by itself after a restart of the server"(t) {
    t.expectErrors(...AWAY);
    const page = await open(t, { path: "imports" });
    await t.call("stop");
    await waitForText(banner(page), /Connection lost/);
    await t.call("start");
    await live(page);
    await waitForText(entry(page, await t.call("import_file")), /Completed/);
  },

  async "the page shows how an import ended when the server was killed"(t) {
    t.expectErrors(...AWAY);
    const page = await open(t, { path: "imports" });
    const { id, name } = await t.call("start_long_import");
    const progress = page.getByRole("progressbar", { name: new RegExp(name) });
    await waitUntil(() => progress.evaluate((element) => element.value > 0), "progress");
    await t.call("kill");
    await waitForText(banner(page), /Connection lost/);
    await t.call("start");
    await live(page);
    await progress.waitFor({ state: "detached" });
    await waitForText(entry(page, name), /Interrupted/);
    await history(page).getByRole("link", { name }).click();
    await waitForText(page.getByRole("main"), new RegExp(`Import ${id}[^]*Interrupted[^]*The findings are unchanged`));
  },

  async "the page is usable at 20 kB per second"(t) {
    const page = await t.newPage();
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", {
      offline: false, latency: 100, downloadThroughput: 20_000, uploadThroughput: 20_000,
    });
    const begun = Date.now();
    await page.goto(`${t.given.url}/#token=${t.given.token}`);
    await live(page);
    const usable = Date.now() - begun;
    const paint = await page.evaluate(
      () => performance.getEntriesByName("first-contentful-paint")[0].startTime,
    );
    const bytes = await page.evaluate(() =>
      performance.getEntriesByType("resource").reduce((sum, each) => sum + each.transferSize, 0),
    );
    return { paint, usable, bytes };
  },
};
