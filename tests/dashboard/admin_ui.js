"use strict";
// Cases of the official admin UI. `given.url` is the address of the page, which a server of the test serves with
// the documented Content-Security-Policy; `given.name` and `given.password` log in.
const { assert, waitForText, waitUntil } = require("./harness");

const login = async (page, { url, name, password }) => {
  await page.getByLabel("Server URL").fill(url);
  await page.getByLabel("Username").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Connect" }).click();
};

/** Open the page and log in. */
const open = async (t, url = t.given.url) => {
  // The page requests a font and icons of other hosts, which the policy prevents.
  t.expectErrors(/(fonts\.googleapis\.com|cdn\.jsdelivr\.net)/);
  const page = await t.newPage();
  await page.goto(`${t.given.url}/admin-ui/`);
  await login(page, { ...t.given, url });
  await page.getByLabel("Server URL").waitFor({ state: "hidden" });
  return page;
};

const show = (page, view) => page.evaluate((name) => { location.hash = `#/${name}/`; }, view);
// A transition between two views shows both for a moment.
const row = (page, text) => page.locator("tbody tr:visible", { hasText: text });
const submit = (page) => page.locator("button[type=submit]:visible").click();

module.exports = {
  async "a client appears with its rooms, data and events, and is disconnected"(t) {
    const id = await t.call("connect"); // first: the page selects a namespace with sockets
    const page = await open(t);
    await show(page, "sockets");
    await row(page, id).waitFor();
    await waitForText(row(page, id), /127\.0\.0\.1.*websocket/i);
    await t.call("emit", "join", "red");
    await t.call("emit", "rename", "<b>ann</b>");
    await show(page, "events");
    await waitForText(row(page, "red").first(), /red/);
    await waitForText(row(page, "rename").first(), /rename/);
    await waitForText(row(page, "welcome").first(), /welcome/);
    await show(page, "rooms");
    await waitForText(row(page, "red"), /red.*1/);
    // Details that are open do not show a key that was added to `data` afterwards (Vue 2 observes no new keys).
    const shown = () => page.locator("pre code").first().textContent();
    await waitUntil(async () => {
      await show(page, "sockets");
      await row(page, id).locator("td").first().click();
      return (await shown()).includes('"name": "<b>ann</b>"');
    }, "the name in the details");
    await waitForText(row(page, "red"), /red/);
    await page.getByLabel("Join a room").fill("blue");
    await submit(page);
    await row(page, "blue").waitFor();
    assert.deepEqual((await t.call("rooms")).sort(), ["blue", id, "red"].sort());
    await row(page, "blue").getByRole("button").click();
    await waitUntil(async () => !(await t.call("rooms")).includes("blue"), "a left room");
    await show(page, "sockets");
    await row(page, id).getByRole("button").click();
    assert.equal(await t.call("reason"), "io server disconnect");
    await show(page, "sockets"); // the click has opened the details as well
    await waitUntil(async () => (await row(page, id).count()) === 0, "an empty table");
  },

  async "a wrong password is refused and a session outlives a reload"(t) {
    t.expectErrors(/(fonts\.googleapis\.com|cdn\.jsdelivr\.net)/);
    const page = await t.newPage();
    await page.goto(`${t.given.url}/admin-ui/`);
    await login(page, { ...t.given, password: "wrong" });
    await page.getByText("Invalid credentials").waitFor();
    await login(page, t.given);
    await page.getByLabel("Server URL").waitFor({ state: "hidden" });
    await page.reload();
    await show(page, "servers");
    await waitForText(row(page, "server-0"), /Healthy/i);
    assert.equal(await page.getByLabel("Password").isVisible(), false);
  },

  async "the overview shows servers, clients and statistics"(t) {
    const page = await open(t);
    await t.call("connect");
    await show(page, "servers");
    await waitForText(row(page, "server-0"), /server-0.*Healthy/i);
    await page.evaluate(() => { location.hash = "#/"; });
    const totals = page.locator(".v-card", { hasText: "Clients" }).first();
    await waitForText(totals, /[1-9]/);
    await page.locator("canvas").first().waitFor();
  },

  async "a read-only server shows no buttons"(t) {
    const id = await t.call("connect"); // first: the page selects a namespace with sockets
    const page = await open(t);
    await show(page, "sockets");
    await row(page, id).waitFor();
    assert.equal(await row(page, id).getByRole("button").count(), 0);
    await row(page, id).locator("td").first().click();
    // The page shows this form also without the feature; the server ignores it.
    await page.getByLabel("Join a room").fill("blue");
    await submit(page);
    await t.call("emit", "join", "red");
    await row(page, "red").waitFor();
    assert.deepEqual((await t.call("rooms")).sort(), [id, "red"].sort());
  },

  async "production mode shows statistics only"(t) {
    const id = await t.call("connect"); // first: the page selects a namespace with sockets
    const page = await open(t);
    await show(page, "servers");
    await waitForText(row(page, "server-0"), /server-0.*Healthy/i);
    await page.evaluate(() => { location.hash = "#/"; });
    await page.locator("canvas").first().waitFor();
    assert.equal(await page.getByText(id).count(), 0);
  },

  async "an admin of one server sees and disconnects the clients of another"(t) {
    const id = await t.call("connect"); // first: the page selects a namespace with sockets
    const page = await open(t);
    await show(page, "sockets");
    await row(page, id).waitFor();
    await t.call("emit", "join", "red");
    await show(page, "rooms");
    await waitForText(row(page, "red"), /red.*1/);
    await show(page, "servers");
    await row(page, "server-0").waitFor();
    await waitForText(row(page, "server-1"), /Healthy/i);
    await show(page, "sockets");
    await row(page, id).getByRole("button").click();
    assert.equal(await t.call("reason"), "io server disconnect");
    await show(page, "sockets"); // the click has opened the details as well
    await waitUntil(async () => (await row(page, id).count()) === 0, "an empty table");
    const again = await t.call("connect");
    const late = await open(t);
    await show(late, "sockets");
    await waitForText(row(late, again), /websocket/i);
    await t.call("stop");
    await show(page, "servers");
    await waitForText(row(page, "server-1"), /Unhealthy/i);
    await row(page, "server-1").getByRole("button").click();
    await row(page, "server-1").waitFor({ state: "detached" });
    await row(page, "server-0").waitFor();
  },
};
