"use strict";
// Cases of the playground. `given.url` is the address of a server with the playground.
const { assert, expectNoViolations, waitForText, waitUntil } = require("./harness");

/** Open the playground and wait until its client is loaded. */
const open = async (t, options) => {
  const page = await t.newPage(options);
  await page.goto(`${t.given.url}/playground`);
  await waitForText(page.getByRole("status").first(), /Not connected/);
  return page;
};

const connect = async (page, { namespace = "/", transports = "websocket", auth = "", query = "" } = {}) => {
  await page.getByLabel("Namespace").fill(namespace);
  await page.getByLabel("Transports").selectOption(transports);
  await page.getByLabel("auth (a JSON object)").fill(auth);
  await page.getByLabel("Query").fill(query);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
};

const status = (page) => page.locator("#status");
const connected = (page) => waitForText(status(page), /^Connected$/);
const answer = (page, pattern) => waitForText(page.locator("#answer"), pattern);
const fact = (page, name, pattern) => waitForText(page.locator(`#fact-${name}`), pattern);

const emit = async (page, name, values = "[]") => {
  await page.getByLabel("Event", { exact: true }).fill(name);
  await page.getByLabel("Arguments (a JSON array)").fill(values);
  await page.getByRole("button", { name: "Emit", exact: true }).click();
};

/** Return the texts of the entries of the log: "direction name text". */
const entries = (page) =>
  page.locator("#entries li").evaluateAll((items) =>
    items.map((item) => [...item.children].slice(1).map((each) => each.textContent.trim()).join(" ").trim()),
  );

const entry = (page, pattern) =>
  waitUntil(async () => (await entries(page)).find((text) => pattern.test(text)), `entry ${pattern}`);

module.exports = {
  async "an event is acknowledged with its time"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await emit(page, "echo", '["hello", {"a": [1, 2]}]');
    await answer(page, /^Acknowledged in [\d.]+ ms: "hello", \{"a":\[1,2\]\}$/);
    await entry(page, /sent EVENT 20\["echo","hello",\{"a":\[1,2\]\}\]$/);
    await entry(page, /received ACK 30\["hello",\{"a":\[1,2\]\}\]$/);
    await entry(page, /received ack of echo [\d.]+ ms: "hello"/);
  },

  async "a polling session upgrades to WebSocket"(t) {
    const page = await open(t);
    await connect(page, { transports: "polling,websocket" });
    await connected(page);
    await fact(page, "transport", /^websocket$/);
    await fact(page, "upgrade", /^to websocket$/);
    await fact(page, "recovered", /^no$/);
    await entry(page, /received open \{"sid":/);
    await entry(page, /sent CONNECT 0/);
  },

  async "auth and query reach the namespace"(t) {
    const page = await open(t);
    await connect(page, { namespace: "/private", transports: "polling", auth: '{"token": "x"}', query: "a=1&b=%3C" });
    await connected(page);
    await fact(page, "transport", /^polling$/);
    await emit(page, "handshake");
    await answer(page, /: \{"token":"x"\}, "1", "<"$/);
  },

  async "a refusal shows the message and the data of the server"(t) {
    const page = await open(t);
    await connect(page, { namespace: "/private" });
    await waitForText(status(page), /^Not connected: token required$/);
    await entry(page, /connect_error token required \{"code":"NO_TOKEN"\}/);
  },

  async "invalid JSON is explained at its field"(t) {
    const page = await open(t);
    await connect(page, { auth: "[1]" });
    await waitForText(page.locator("#auth-error"), /auth must be a JSON object/);
    assert.equal(await page.evaluate(() => document.activeElement.id), "auth");
    await connect(page);
    await connected(page);
    assert.equal(await page.locator("#auth-error").isVisible(), false);
    for (const [values, message] of [['{"a": 1}', /must be a JSON array/], ["[1,", /must be a JSON array.*: .*JSON/]]) {
      await emit(page, "echo", values);
      await waitForText(page.locator("#arguments-error"), message);
      const field = page.getByLabel("Arguments (a JSON array)");
      assert.equal(await field.getAttribute("aria-invalid"), "true");
      assert.equal(await field.getAttribute("aria-describedby"), "arguments-error");
    }
    await emit(page, "connect");
    await waitForText(page.locator("#event-name-error"), /reserved event name/);
    assert.deepEqual((await entries(page)).filter((text) => text.includes("EVENT")), []);
  },

  async "a missing acknowledgement ends with the timeout"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await page.getByRole("spinbutton").fill("50");
    await emit(page, "silent");
    await answer(page, /^No acknowledgement within 50 ms$/);
  },

  async "a volatile event is discarded without a connection"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await emit(page, "leave");
    await waitForText(status(page), /^Not connected: io server disconnect$/);
    await page.getByLabel("Volatile").check();
    await emit(page, "echo", "[1]");
    await entry(page, /sent echo discarded/);
  },

  async "a broken transport reconnects and recovers"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await emit(page, "greet"); // recovery requires an event with an offset
    await entry(page, /received greeting/);
    const id = await page.locator("#fact-id").textContent();
    await page.getByRole("button", { name: "Break transport" }).click();
    await fact(page, "recovered", /^yes$/);
    assert.equal(await page.locator("#fact-id").textContent(), id);
    // The packets of the second transport are in the log as well.
    await waitUntil(async () => (await entries(page)).filter((text) => /received open/.test(text)).length === 2, "packets");
  },

  async "an event of the server is acknowledged with the given arguments"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await page.getByLabel("Arguments of the acknowledgement").fill('["yes", 7]');
    await page.getByLabel("Acknowledge events that request it").check();
    await emit(page, "question", "[]");
    await answer(page, /: "yes"$/);
    await entry(page, /sent ack of question "yes", 7/);
  },

  async "binary data appears as its size and bytes"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await emit(page, "bytes");
    await answer(page, /: "<4 bytes: 00 01 fe ff>"$/);
    await entry(page, /received BINARY_ACK 61-0/);
    await entry(page, /received attachment <4 bytes/);
  },

  async "values of the server are text"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    const markup = "<img src=x onerror=alert(1)><script>alert(2)</script>";
    await emit(page, markup, JSON.stringify([markup]));
    await page.getByLabel("Name of the example").fill(markup);
    await page.getByRole("button", { name: "Save" }).click();
    await emit(page, "echo", JSON.stringify([markup]));
    await answer(page, /<img src=x/);
    assert.equal(await page.locator("img, #entries script").count(), 0);
  },

  async "the log is bounded, filtered, paused and cleared"(t) {
    const page = await open(t);
    await connect(page);
    await connected(page);
    await emit(page, "flood", "[700]");
    await waitForText(page.locator("#count"), /^500 entries, \d+ older ones dropped$/);
    assert.equal(await page.locator("#entries li").count(), 500);
    await page.getByLabel("Filter").fill("number 69");
    await page.getByLabel("Show").selectOption("event");
    await waitUntil(async () => {
      const texts = await entries(page);
      return texts.length > 0 && texts.every((text) => /received number 69\d?,/.test(text));
    }, "filtered entries");
    await page.getByLabel("Filter").fill("");
    await page.getByLabel("Show").selectOption("");
    await page.getByRole("button", { name: "Pause" }).click();
    const before = await entries(page);
    await emit(page, "echo", '["later"]');
    await answer(page, /"later"/);
    assert.deepEqual(await entries(page), before);
    await waitForText(page.locator("#count"), /paused, [1-9]/);
    await page.getByRole("button", { name: "Pause" }).click();
    await entry(page, /later/);
    await page.getByRole("button", { name: "Clear" }).click();
    assert.deepEqual(await entries(page), []);
    await waitForText(page.locator("#count"), /^0 entries$/);
  },

  async "examples are saved, loaded and deleted"(t) {
    const context = await t.newContext();
    const page = await open(t, { context });
    await page.getByLabel("Namespace").fill("/private");
    await page.getByLabel("Event", { exact: true }).fill("hello");
    await page.getByLabel("Volatile").check();
    await page.getByLabel("Name of the example").fill("first");
    await page.getByRole("button", { name: "Save" }).click();
    await page.reload();
    await page.getByRole("button", { name: "Load first" }).click();
    assert.equal(await page.getByLabel("Namespace").inputValue(), "/private");
    assert.equal(await page.getByLabel("Event", { exact: true }).inputValue(), "hello");
    assert.equal(await page.getByLabel("Volatile").isChecked(), true);
    const other = await open(t, { context });
    assert.equal(await other.getByRole("button", { name: "Load first" }).count(), 0);
    await page.getByRole("button", { name: "Delete first" }).click();
    await page.reload();
    assert.equal(await page.getByRole("button", { name: "Load first" }).count(), 0);
  },

  async "the keyboard suffices"(t) {
    const page = await open(t);
    const focus = () => page.evaluate(() => document.activeElement.id);
    const tabTo = async (id) => {
      for (let step = 0; (await focus()) !== id; step += 1) {
        assert.ok(step < 60, `${id} is not reachable with Tab`);
        await page.keyboard.press("Tab");
      }
    };
    await tabTo("namespace");
    await page.keyboard.press("Enter");
    await connected(page);
    await tabTo("event-name");
    await page.keyboard.type("echo");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type('["typed"]');
    await tabTo("emit");
    await page.keyboard.press("Space");
    await answer(page, /"typed"/);
    await tabTo("scroll");
  },

  async "the page is accessible in light and dark and on a phone"(t) {
    for (const options of [
      { colorScheme: "light" },
      { colorScheme: "dark" },
      { colorScheme: "light", viewport: { width: 360, height: 740 } },
    ]) {
      const page = await open(t, options);
      await connect(page);
      await connected(page);
      await emit(page, "echo", '["a"]');
      await answer(page, /"a"/);
      await emit(page, "echo", "[");
      await expectNoViolations(page, JSON.stringify(options));
      const [content, width] = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return [scrollWidth, clientWidth];
      });
      assert.ok(content <= width, `${content} of ${width} pixels`);
    }
  },

  async "a page of another site cannot embed the playground"(t) {
    t.expectErrors(/frame-ancestors|Refused to display|ERR_BLOCKED_BY_RESPONSE/);
    const page = await t.newPage();
    await page.goto(`${t.given.url}/embedding`);
    const frame = await waitUntil(() => page.frames()[1], "frame");
    await waitUntil(() => /^chrome-error:/.test(frame.url()), "blocked frame");
  },
};
