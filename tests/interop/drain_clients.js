"use strict";
// node drain_clients.js URL CLIENTS PREFIX [websocket]
// Official clients that emit events with acks one after another until `stop`. A third polls only, a
// third uses WebSocket only, a third upgrades; every second one has `retries`. Commands on stdin,
// one JSON array per line; a line of JSON per result.
const readline = require("node:readline");
const { io } = require("socket.io-client");
const { report, sleep, waitUntil } = require("./harness");

const [url, number, prefix, only] = process.argv.slice(2);
const KINDS = only ? [[only]] : [["polling"], ["websocket"], ["polling", "websocket"]];
const clients = [];
let isStopping = false;

class Client {
  constructor(index) {
    this.acked = [];
    this.failed = [];
    this.reasons = [];
    this.sent = 0;
    this.name = `${prefix}-${index}`;
    const retries = index % 2 ? { retries: 100, ackTimeout: 240_000 } : {};
    this.socket = io(url, {
      transports: KINDS[index % KINDS.length], forceNew: true, withCredentials: true,
      timeout: 240_000, ...retries,
    });
    this.socket.on("disconnect", (reason) => this.reasons.push(reason));
  }

  async run() {
    while (!isStopping) {
      await waitUntil(() => this.socket.connected || isStopping);
      if (isStopping) return;
      const event = `${this.name}-${++this.sent}`;
      const error = await new Promise((resolve) => this.emitter().emit("work", event, resolve));
      (error ? this.failed : this.acked).push(event);
      await sleep(50 + Math.random() * 300);
    }
  }

  /** The option `retries` has a time limit of its own. */
  emitter() {
    return this.socket._opts.retries ? this.socket : this.socket.timeout(240_000);
  }
}

let running;
const commands = {
  /** Open the clients; wait until all are connected and have an ack. */
  async open() {
    for (let index = 0; index < Number(number); index++) {
      clients.push(new Client(index));
      if (index % 25 === 24) await sleep(20);
    }
    running = Promise.all(clients.map((client) => client.run()));
    await waitUntil(() => clients.every(({ acked }) => acked.length > 0));
  },
  /** Wait until each client was disconnected and has had an ack after that. */
  async returned() {
    await waitUntil(() => clients.every(({ reasons }) => reasons.length > 0));
    const before = clients.map(({ acked }) => acked.length);
    await waitUntil(() => clients.every(({ acked }, i) => acked.length > before[i]));
  },
  /** Wait until each client has had several further acks. */
  async served() {
    const before = clients.map(({ acked }) => acked.length);
    await waitUntil(() => clients.every(({ acked }, i) => acked.length > before[i] + 2));
  },
  /** Stop emitting, wait for the last result of each client, and return all results. */
  async stop() {
    isStopping = true;
    await running;
    return {
      acked: clients.flatMap(({ acked }) => acked),
      failed: clients.flatMap(({ failed }) => failed),
      sent: clients.reduce((sum, { sent }) => sum + sent, 0),
      reasons: [...new Set(clients.flatMap(({ reasons }) => reasons))],
      disconnects: clients.reduce((sum, { reasons }) => sum + reasons.length, 0),
    };
  },
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const [name, ...parameters] = JSON.parse(line);
  try {
    report({ result: (await commands[name](...parameters)) ?? null });
  } catch (error) {
    report({ error: error.stack });
  }
}).on("close", () => process.exit(0));
