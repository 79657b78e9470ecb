"use strict";
// Run named cases against a server, one after another, and print one line of JSON per case:
// {"name": "...", "data": <result>} if the case passed, {"name": "...", "error": "..."} otherwise.
const assert = require("node:assert/strict");

// The limit ends a case that hangs; it is generous because the machine may be busy.
const CASE_LIMIT = Number(process.env.CASE_LIMIT ?? 240_000);
const cases = [];

/** Declare a case; `run(t)` gets a `CaseContext` and fails if it throws or exceeds the limit. */
const check = (name, run, limit = CASE_LIMIT) => cases.push({ name, run, limit });

/** Declare a case that needs a client of version 3.0 or later. */
const checkV3 = (name, run) => cases.push({ name, run, limit: CASE_LIMIT, since: 3 });

/** Declare a case that needs a client of version 4.0 or later. */
const checkV4 = (name, run) => cases.push({ name, run, limit: CASE_LIMIT, since: 4 });

/** Declare a case for clients of versions 1 and 2 only. */
const checkOld = (name, run) => cases.push({ name, run, limit: CASE_LIMIT, until: 2 });

/** The sockets of one case, which `close` closes. */
class CaseContext {
  constructor(io, url, options) {
    this.io = io;
    this.url = url;
    this.options = options;
    this.sockets = [];
  }

  /** Open a socket on a separate connection without waiting for it. */
  open(namespace = "/", options = {}) {
    const socket = this.io(this.url + namespace, {
      forceNew: true,
      reconnection: false,
      timeout: CASE_LIMIT,
      ...this.options,
      ...options,
    });
    this.sockets.push(socket);
    return socket;
  }

  /** Connect a socket on a separate connection. */
  async connect(namespace, options) {
    const socket = this.open(namespace, options);
    await connected(socket);
    return socket;
  }

  /** Open another namespace on the connection of a socket. */
  openNamespace(socket, namespace, options) {
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

/** Wait for the next event with a name and return its arguments. */
const nextEvent = (emitter, event) =>
  new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

/** Wait until a socket is connected; fail if the server refuses it. */
const connected = (socket) =>
  new Promise((resolve, reject) => {
    if (socket.connected) return resolve();
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
    socket.once("error", reject); // the refusal of a client of version 2
  });

/** Emit an event and return the arguments of its ack. */
const emitWithAck = (socket, ...event) =>
  new Promise((resolve) => socket.emit(...event, (...answer) => resolve(answer)));

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Wait until a condition holds. */
const waitUntil = async (condition) => {
  while (!(await condition())) await sleep(5);
};

const report = (line) => process.stdout.write(JSON.stringify(line) + "\n");

/** Run all cases that a client of a major version supports. */
const runCases = async (makeContext, version = 4) => {
  for (const { name, run, limit, since = 0, until = Infinity } of cases) {
    if (since > version || until < version) continue;
    const context = makeContext();
    let timer;
    const expired = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${limit} ms`)), limit);
    });
    try {
      report({ name, data: await Promise.race([run(context), expired]) });
    } catch (error) {
      const data = error.data === undefined ? "" : ` ${JSON.stringify(error.data)}`;
      report({ name, error: `${error.stack}${data}` });
    }
    clearTimeout(timer);
    context.close();
  }
  process.exit(0);
};

module.exports = {
  CaseContext,
  assert,
  check,
  checkOld,
  checkV3,
  checkV4,
  connected,
  emitWithAck,
  nextEvent,
  report,
  runCases,
  sleep,
  waitUntil,
};
