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

/** Emit an event and return its ack; emit it again each time that the connection ends before. */
const query = async ({ socket }, ...event) => {
  let send;
  const answer = await new Promise((resolve) => {
    send = () => socket.emit(...event, resolve);
    socket.on("disconnect", send);
    send();
  });
  socket.off("disconnect", send);
  return answer;
};

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
  /** Wait until the connections of these clients have ended; some may be back already. */
  async lost(indexes) {
    await waitUntil(() => indexes.every((index) => clients[index].losses > 0));
  },
  /** Emit an event with an ack from each client and return the acks; servers may receive it twice. */
  emit: (...event) => Promise.all(clients.map((client) => query(client, ...event))),
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
  /** Wait until each server counts so many clients: the end of a lost connection takes a moment. */
  async counted(expected) {
    await waitUntil(async () => (await commands.emit("count")).every((each) => each === expected));
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
