"use strict";
// node workers.js URL CLIENTS
// Open official clients on polling, WebSocket and with an upgrade, and execute the commands on
// stdin, one JSON array per line; print one line of JSON per command: its result, or {"error"}.
const readline = require("node:readline");
const { io } = require("socket.io-client");
const { emitWithAck, report, sleep, waitUntil } = require("./harness");

const [url, number] = process.argv.slice(2);
const KINDS = [["polling"], ["websocket"], ["polling", "websocket"]];
const clients = [];
const refusals = [];

class Client {
  constructor(kind) {
    this.received = []; // the numbers of the event "news", in order
    this.connects = []; // [socket id, recovered] of each connection
    this.losses = 0; // ended connections
    this.socket = io(url, {
      transports: KINDS[kind],
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 500,
    });
    this.socket.on("connect", () =>
      this.connects.push([this.socket.id, Boolean(this.socket.recovered)])
    );
    this.socket.on("news", (value) => this.received.push(value));
    const refused = (error) => {
      const text = error?.context?.responseText;
      if (text) refusals.push(text);
    };
    this.socket.on("connect_error", refused);
    this.socket.on("disconnect", (_, details) => {
      this.losses++;
      refused(details);
    });
  }
}

const commands = {
  /** Open the clients; wait until all are connected and have reached their last transport. */
  async open() {
    for (let index = 0; index < Number(number); index++) clients.push(new Client(index % 3));
    await commands.connected();
    await waitUntil(() =>
      clients.every(({ socket }, index) =>
        index % 3 === 0 || socket.io.engine.transport.name === "websocket")
    );
  },
  /** Wait until all clients are connected; return the milliseconds. */
  async connected() {
    const start = Date.now();
    await waitUntil(() => clients.every(({ socket }) => socket.connected));
    return Date.now() - start;
  },
  /** Wait until the connections of so many clients have ended; some may be back already. */
  async lost(count) {
    await waitUntil(() => clients.filter(({ losses }) => losses > 0).length >= count);
  },
  /** Emit an event with an ack from each client and return the acks. */
  emit: (...event) =>
    Promise.all(clients.map(async ({ socket }) => (await emitWithAck(socket, ...event))[0])),
  /** Emit an event with an ack from one client and return the ack. */
  emitOne: async (index, ...event) => (await emitWithAck(clients[index].socket, ...event))[0],
  /** Wait until each client has received `count` numbers, or the time is over; return them. */
  async received(count, limit = 240_000) {
    const end = Date.now() + limit;
    while (Date.now() < end && clients.some(({ received }) => received.length < count))
      await sleep(5);
    await sleep(100); // duplicates
    return clients.map(({ received }) => received);
  },
  connects: () => clients.map(({ connects }) => connects),
  refusals: () => refusals,
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const [name, ...parameters] = JSON.parse(line);
  try {
    report({ result: (await commands[name](...parameters)) ?? null });
  } catch (error) {
    report({ error: error.stack });
  }
}).on("close", () => process.exit(0));
