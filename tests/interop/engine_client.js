// Run cases of the official engine.io-client against a server; print one line of JSON per case.
// Usage: node engine_client.js <url> <case>...
"use strict";

const { Socket } = require("engine.io-client");

const url = process.argv[2];
const names = process.argv.slice(3);

const POLLING = { transports: ["polling"] };
const WEBSOCKET = { transports: ["websocket"] };
const BOTH = { transports: ["polling", "websocket"] };

function open(options) {
  return new Socket(url, { path: "/engine.io", ...options });
}

function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
}

async function opened(options) {
  const socket = open(options);
  const failed = once(socket, "close").then(([reason, description]) => {
    throw new Error(`closed before it was open: ${reason} ${description && description.message}`);
  });
  failed.catch(() => {});
  await Promise.race([once(socket, "open"), failed]);
  return socket;
}

// Send messages and return the same number of received ones; binary messages as hexadecimal.
async function echoAll(socket, messages) {
  const received = [];
  const done = new Promise((resolve, reject) => {
    socket.on("message", (data) => {
      // An empty message has no data in this client.
      if (data === undefined) received.push("");
      else received.push(typeof data === "string" ? data : Buffer.from(data).toString("hex"));
      if (received.length === messages.length) resolve();
    });
    socket.once("close", (reason) => reject(new Error(`closed: ${reason}`)));
  });
  messages.forEach((message) => socket.send(message));
  await done;
  return received;
}

async function echo(options) {
  const socket = await opened(options);
  const messages = ["hello", "\u4f60\u597d \u20ac \u{1f980}", "", "x".repeat(100000)];
  const text = await echoAll(socket, messages);
  socket.removeAllListeners("message");
  const sent = [Buffer.from([0, 1, 254, 255]), new Uint8Array([1, 2, 3]).subarray(1)];
  const binary = await echoAll(socket, sent);
  const transport = socket.transport.name;
  socket.close();
  return { isEqual: JSON.stringify(text) === JSON.stringify(messages), binary, transport };
}

async function clientCloses(options) {
  const socket = await opened(options);
  const { id } = socket;
  const closed = once(socket, "close");
  socket.close();
  return { id, reason: (await closed)[0] };
}

async function serverCloses(options) {
  const socket = await opened(options);
  const closed = once(socket, "close");
  const last = once(socket, "message");
  socket.send("close me");
  return { last: (await last)[0], reason: (await closed)[0] };
}

async function tooLarge(options) {
  const socket = await opened(options);
  const { id } = socket;
  const closed = once(socket, "close");
  socket.send("x".repeat(1000001));
  const [reason, description] = await closed;
  return { id, reason, description: description && (description.context ? description.context.status : description.description) };
}

const cases = {
  polling: () => echo(POLLING),
  websocket: () => echo(WEBSOCKET),

  async handshake() {
    const socket = open(BOTH);
    const [handshake] = await once(socket, "handshake");
    socket.close();
    return handshake;
  },

  async upgrade() {
    const socket = await opened(BOTH);
    const events = [];
    for (const event of ["upgrading", "upgrade", "upgradeError"]) {
      socket.on(event, (transport) => events.push(`${event} ${transport.name}`));
    }
    await once(socket, "upgrade");
    const received = await echoAll(socket, ["after", Buffer.from([7])]);
    socket.close();
    return { events, received, transport: socket.transport.name };
  },

  // Send 50 messages in each direction, one every two milliseconds, during the upgrade.
  async ordered() {
    const socket = open({ ...BOTH, rememberUpgrade: false });
    const received = [];
    const count = 50;
    const done = new Promise((resolve) => {
      socket.on("message", (data) => {
        if (data === "all received") resolve();
        else received.push(data);
      });
    });
    const upgraded = once(socket, "upgrade"); // on a busy machine after the last message
    await once(socket, "open");
    socket.send("count with me");
    let sent = 0;
    const timer = setInterval(() => {
      socket.send(`client ${sent++}`);
      if (sent === count) clearInterval(timer);
    }, 2);
    await done;
    const [{ name: transport }] = await upgraded;
    socket.close();
    return { received, transport };
  },

  async manyAtOnce() {
    const socket = await opened(BOTH);
    const messages = Array.from({ length: 2000 }, (_, number) => `message ${number}`);
    const received = await echoAll(socket, messages);
    socket.close();
    return { isEqual: JSON.stringify(received) === JSON.stringify(messages) };
  },

  clientClosesPolling: () => clientCloses(POLLING),
  clientClosesWebsocket: () => clientCloses(WEBSOCKET),
  serverClosesPolling: () => serverCloses(POLLING),
  serverClosesWebsocket: () => serverCloses(WEBSOCKET),
  tooLargePolling: () => tooLarge(POLLING),
  tooLargeWebsocket: () => tooLarge(WEBSOCKET),

  async closeWhileUpgrading() {
    const socket = open(BOTH);
    const closed = once(socket, "close");
    await once(socket, "upgrading");
    socket.close();
    return { reason: (await closed)[0] };
  },

  async reconnect() {
    const ids = [];
    for (const options of [WEBSOCKET, POLLING, BOTH]) {
      const socket = await opened(options);
      ids.push(socket.id);
      const closed = once(socket, "close");
      socket.send("close me");
      await closed;
      const next = await opened(options);
      ids.push(next.id);
      const [answer] = await echoAll(next, ["again"]);
      if (answer !== "again") throw new Error(answer);
      next.close();
    }
    return { different: new Set(ids).size };
  },

  async heartbeat() {
    const polling = await opened(POLLING);
    const websocket = await opened(WEBSOCKET);
    const pings = [0, 0];
    const done = new Promise((resolve) => {
      [polling, websocket].forEach((socket, index) =>
        socket.on("packet", (packet) => {
          if (packet.type === "ping") pings[index] += 1;
          if (Math.min(...pings) >= 3) resolve();
        })
      );
    });
    await done;
    const states = [polling.readyState, websocket.readyState];
    polling.close();
    websocket.close();
    return { states };
  },

  async cookies() {
    const socket = open({ ...BOTH, withCredentials: true });
    await once(socket, "upgrade");
    const [cookie] = await echoAll(socket, ["cookie?"]);
    const id = socket.id;
    socket.close();
    return { id, cookie };
  },

  async headers() {
    const extraHeaders = { "X-Who": "node" };
    const headers = [];
    for (const options of [POLLING, WEBSOCKET]) {
      const socket = await opened({ ...options, extraHeaders });
      headers.push((await echoAll(socket, ["header?"]))[0]);
      socket.close();
    }
    return { headers };
  },

  async refused() {
    const reasons = [];
    for (const options of [POLLING, WEBSOCKET]) {
      const socket = open({ ...options, query: { refuse: "yes" } });
      const [error] = await once(socket, "error");
      reasons.push(error.context ? error.context.status || error.message : error.message);
    }
    return { reasons };
  },

  async deflate() {
    const socket = await opened({ ...WEBSOCKET, perMessageDeflate: { threshold: 0 } });
    const messages = ["z".repeat(50000), "short", "z".repeat(50000)];
    const received = await echoAll(socket, messages);
    const extensions = socket.transport.ws.extensions;
    socket.close();
    return { isEqual: JSON.stringify(received) === JSON.stringify(messages), extensions };
  },

  async compressed() {
    const socket = await opened(POLLING);
    const [received] = await echoAll(socket, ["z".repeat(50000)]);
    socket.close();
    return { length: received.length };
  },
};

(async () => {
  for (const name of names) {
    let line;
    try {
      line = { case: name, ...(await cases[name]()) };
    } catch (error) {
      line = { case: name, error: String(error && error.stack) };
    }
    process.stdout.write(JSON.stringify(line) + "\n");
  }
  process.exit(0);
})();
