"use strict";
// Cases of the official client over WebTransport. `given`: `url` of the pages, `port` of WebTransport, `hash` of its
// certificate in base64, and `refusing`, the ports of servers that refuse.
const { assert, waitUntil } = require("./harness");

/** Open a page with the official client; `window.open(options)` connects it. */
const openPage = async (t) => {
  const page = await t.newPage();
  await page.goto(`${t.given.url}/`);
  await page.evaluate(async ({ url, port, hash }) => {
    const { io } = await import("/socket.io/socket.io.esm.min.js");
    const value = Uint8Array.from(atob(hash), (each) => each.charCodeAt(0));
    window.log = [];
    window.open = ({ to = port, ...options } = {}) => {
      const webtransport = { hostname: "127.0.0.1", port: to, secure: true };
      webtransport.serverCertificateHashes = [{ algorithm: "sha-256", value }];
      const socket = io(url, {
        forceNew: true,
        reconnection: false,
        transports: ["webtransport"],
        transportOptions: { webtransport },
        ...options,
      });
      window.socket = socket;
      for (const name of ["connect", "disconnect"]) socket.on(name, (...given) => log.push([name, ...given]));
      socket.on("connect_error", (error) => log.push(["connect_error", error.message]));
      socket.onAny((...given) => log.push(given));
      return socket;
    };
    window.until = (name) =>
      new Promise((resolve) => {
        const look = () => {
          const found = log.find(([each]) => each === name);
          if (found) resolve(found);
          else setTimeout(look, 5);
        };
        look();
      });
  }, t.given);
  return page;
};

// engine.io-client handles neither the rejection of its writer when a session ends, nor `ready` of a refused session.
const UNHANDLED = /^page error: $|WebTransportError: The session is closed/;

const transportOf = (page) => page.evaluate(() => socket.io.engine.transport.name);

module.exports = {
  async "the client connects and gets 200 acks"(t) {
    const page = await openPage(t);
    const answers = await page.evaluate(async () => {
      open();
      await until("connect");
      return Promise.all(Array.from({ length: 200 }, (_, number) => socket.emitWithAck("echo", number)));
    });
    assert.deepEqual(answers, Array.from({ length: 200 }, (_, number) => number));
    assert.equal(await transportOf(page), "webtransport");
    assert.deepEqual(await page.evaluate(() => socket.emitWithAck("describe")), { transport: "webtransport", secure: true });
  },

  async "binary data and long messages pass both ways"(t) {
    const page = await openPage(t);
    const result = await page.evaluate(async () => {
      open();
      await until("connect");
      const bytes = await socket.emitWithAck("echo", new Uint8Array([0, 1, 254, 255]).buffer);
      const text = "é".repeat(250_000);
      const long = await socket.emitWithAck("echo", text);
      const data = new Uint8Array(500_000).map((_, index) => index % 251);
      const back = new Uint8Array(await socket.emitWithAck("echo", data.buffer));
      return {
        bytes: [...new Uint8Array(bytes)],
        isSameText: long === text,
        isSameData: back.length === data.length && back.every((each, index) => each === data[index]),
      };
    });
    assert.deepEqual(result, { bytes: [0, 1, 254, 255], isSameText: true, isSameData: true });
  },

  async "events of a full queue all arrive before the disconnect"(t) {
    t.expectErrors(UNHANDLED);
    const page = await openPage(t);
    const log = await page.evaluate(async () => {
      open();
      await until("connect");
      log.length = 0;
      socket.emit("flood and leave", 300, "x".repeat(10_000));
      await until("disconnect");
      return log.map(([name, first]) => (name === "number" ? first : [name, first]));
    });
    assert.deepEqual(log.slice(0, 300), Array.from({ length: 300 }, (_, number) => number));
    assert.deepEqual(log.slice(300), [["disconnect", "io server disconnect"]]);
  },

  async "a slow page receives all events before the disconnect"(t) {
    t.expectErrors(UNHANDLED);
    const page = await openPage(t);
    const log = await page.evaluate(async () => {
      const socket = open();
      await until("connect");
      log.length = 0;
      // The client has acknowledged all bytes long before the page has read them.
      socket.on("number", () => {
        const end = performance.now() + 5;
        while (performance.now() < end);
      });
      socket.emit("flood and leave", 300, "x".repeat(10_000));
      await until("disconnect");
      return log.map(([name, first]) => (name === "number" ? first : [name, first]));
    });
    assert.deepEqual(log.slice(0, 300), Array.from({ length: 300 }, (_, number) => number));
    assert.deepEqual(log.slice(300), [["disconnect", "io server disconnect"]]);
  },

  async "the server ends the connection"(t) {
    t.expectErrors(UNHANDLED);
    const page = await openPage(t);
    const reason = await page.evaluate(async () => {
      open();
      await until("connect");
      socket.emit("close");
      return (await until("disconnect"))[1];
    });
    assert.match(reason, /^(io server disconnect|transport close)$/);
  },

  async "a polling session upgrades to WebTransport"(t) {
    const page = await openPage(t);
    const answer = await page.evaluate(async () => {
      const socket = open({ transports: ["polling", "webtransport"] });
      const upgraded = new Promise((resolve) => socket.io.engine.once("upgrade", resolve));
      await until("connect");
      await upgraded;
      return [await socket.emitWithAck("echo", new Uint8Array([7]).buffer), await socket.emitWithAck("describe")];
    });
    assert.equal(await transportOf(page), "webtransport");
    assert.equal(answer[1].transport, "webtransport");
  },

  async "the client closes"(t) {
    t.expectErrors(UNHANDLED);
    const page = await openPage(t);
    const sid = await page.evaluate(async () => {
      open();
      await until("connect");
      const { id } = socket;
      socket.disconnect();
      return id;
    });
    const reason = await waitUntil(() => t.call("reason", sid), "the disconnect on the server");
    assert.match(reason, /^(client namespace disconnect|transport close)$/);
  },

  async "a closed page ends the session"(t) {
    const page = await openPage(t);
    const sid = await page.evaluate(async () => {
      open();
      await until("connect");
      return socket.id;
    });
    await page.close();
    assert.equal(await waitUntil(() => t.call("reason", sid), "the disconnect on the server"), "transport close");
  },

  async "middlewares, origins and allow_request refuse"(t) {
    // The browser logs a session that the server does not accept.
    t.expectErrors(UNHANDLED, /Failed to establish a connection to https/);
    const page = await openPage(t);
    for (const [name, port] of Object.entries(t.given.refusing)) {
      const log = await page.evaluate(async (to) => {
        log.length = 0;
        open({ to });
        await Promise.race([until("connect_error"), until("connect")]);
        return log;
      }, port);
      assert.equal(log[0][0], "connect_error", name);
    }
  },
};
