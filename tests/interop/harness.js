"use strict";
// Plays named cases against a server, one after another, and prints a line of JSON for each:
// {"name": "…", "data": what the case returned} if it held, {"name": "…", "error": "…"} if not.
const assert = require("node:assert/strict");

// The limit ends a case that hangs; it is generous because the machine may be busy.
const CASE_LIMIT = 60_000;
const cases = [];

/** Declare a case; `play(t)` gets a `Table` and throws, or lets the time run out, if it fails. */
const check = (name, play) => cases.push({ name, play });

/** Declare a case that clients before 4.0 cannot play. */
const checkV4 = (name, play) => cases.push({ name, play, since: 4 });

/** What one case works with; whatever it opens is closed after it. */
class Table {
  constructor(io, url, options) {
    this.io = io;
    this.url = url;
    this.options = options;
    this.sockets = [];
  }

  /** A socket on a connection of its own, not awaited. */
  open(namespace = "/", options = {}) {
    const socket = this.io(this.url + namespace, {
      forceNew: true,
      reconnection: false,
      ...this.options,
      ...options,
    });
    this.sockets.push(socket);
    return socket;
  }

  /** A socket on a connection of its own, once it is connected. */
  async connect(namespace, options) {
    const socket = this.open(namespace, options);
    await connected(socket);
    return socket;
  }

  /** A second namespace on the connection of a socket. */
  beside(socket, namespace, options) {
    const another = socket.io.socket(namespace, options);
    this.sockets.push(another);
    return another;
  }

  close() {
    for (const socket of this.sockets) {
      socket.disconnect();
      socket.io.reconnection(false);
      if (socket.io.engine) socket.io.engine.close();
    }
  }
}

/** The arguments of the next event of that name. */
const next = (emitter, event) =>
  new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

/** Wait until a socket is connected; a refusal is an error. */
const connected = (socket) =>
  new Promise((resolve, reject) => {
    if (socket.connected) return resolve();
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });

/** The arguments of the ack of an event. */
const ask = (socket, ...event) =>
  new Promise((resolve) => socket.emit(...event, (...answer) => resolve(answer)));

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait until something holds. */
const until = async (holds) => {
  while (!(await holds())) await sleep(5);
};

const report = (line) => process.stdout.write(JSON.stringify(line) + "\n");

/** Play all cases that a client of this major version can play. */
const play = async (makeTable, version = 4) => {
  for (const { name, play, since = 0 } of cases) {
    if (since > version) continue;
    const table = makeTable();
    let timer;
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${CASE_LIMIT} ms`)), CASE_LIMIT);
    });
    try {
      report({ name, data: await Promise.race([play(table), limit]) });
    } catch (error) {
      const data = error.data === undefined ? "" : ` ${JSON.stringify(error.data)}`;
      report({ name, error: `${error.stack}${data}` });
    }
    clearTimeout(timer);
    table.close();
  }
  process.exit(0);
};

module.exports = { Table, ask, assert, check, checkV4, connected, next, play, report, sleep, until };
