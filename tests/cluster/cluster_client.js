"use strict";
// Official clients that a test drives over standard input and output, one JSON value per line.
//
//   {"id": 1, "do": "connect", "client": "a", "url": "http://...", "namespace": "/", "auth": {}}
//      "library" is the npm package of the client
//   {"id": 2, "do": "ask", "client": "a", "event": "join", "args": ["room"]}   -> the ack
//   {"id": 3, "do": "events", "client": "a"}        -> [[event, ...args]], and forgets them
//   {"id": 4, "do": "close", "client": "a"}
//   {"id": 6, "do": "state", "client": "a"}         -> {id, connected, recovered}
//   {"id": 5, "do": "emitter", "client": "redis://...", "calls": [["to", "room"], ["emit", "x"]]}
//
// Answers: {"id": 1, "result": ...} or {"id": 1, "error": "..."}. Clients answer each event whose
// last argument is a function: with [name, ...args], "silent" never, "nothing" without a value.
// Binary values are {"$bytes": "<base64>"} in both directions.
const http = require("node:http");
const readline = require("node:readline");
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");

const clients = new Map();

const encode = (value) => {
  if (value instanceof Uint8Array || Buffer.isBuffer(value)) {
    return { $bytes: Buffer.from(value).toString("base64") };
  }
  if (Array.isArray(value)) return value.map(encode);
  if (value instanceof Function || value === undefined) return null;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encode(item)]));
};

const decode = (value) => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value.$bytes === "string") return Buffer.from(value.$bytes, "base64");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
};

/** Call a listener for each event; clients of version 2 have no such method. */
const onAny = (socket, listener) => {
  if (socket.onAny) return socket.onAny(listener);
  socket.onevent = ({ data, id }) => listener(...data, ...(id === undefined ? [] : [socket.ack(id)]));
};

const connect = ({
  client, url, namespace = "/", auth = {}, transports = ["websocket"], reconnection = false,
  address, credentials = false, library = "socket.io-client",
}) =>
  new Promise((resolve, reject) => {
    const delays = { reconnectionDelay: 50, reconnectionDelayMax: 100 };
    const options = { auth, transports, forceNew: true, reconnection, ...delays };
    options.withCredentials = credentials; // the client returns cookies
    if (address) options.agent = new http.Agent({ localAddress: address, keepAlive: true });
    const loaded = require(library);
    const socket = (loaded.io ?? loaded)(url + namespace, options);
    const events = [];
    clients.set(client, { socket, events });
    onAny(socket, (name, ...args) => {
      const ack = args.at(-1) instanceof Function ? args.pop() : null;
      events.push([name, ...args]);
      if (ack && name === "nothing") ack();
      else if (ack && name !== "silent") ack([client, ...args]);
    });
    socket.on("disconnect", (reason) => events.push(["disconnected", reason]));
    socket.on("connect", () => resolve(socket.id));
    socket.on("connect_error", reject);
  });

/** Run a chain of calls, [[method, ...args], ...], on an official emitter. */
const emitter = async ({ client, calls }) => {
  const redis = createClient({ url: client });
  await redis.connect();
  let operator = new Emitter(redis);
  for (const [method, ...args] of calls) operator = operator[method](...decode(args));
  await redis.quit();
};

const ACTIONS = {
  connect,
  emitter,
  ask: ({ client, event, args }) => {
    const { socket } = clients.get(client);
    if (socket.timeout) return socket.timeout(240_000).emitWithAck(event, ...decode(args));
    return new Promise((resolve) => socket.emit(event, ...decode(args), resolve)); // version 2
  },
  events: ({ client }) => clients.get(client).events.splice(0),
  state: ({ client }) => {
    const { id, connected, recovered } = clients.get(client).socket;
    return { id: id ?? null, connected, recovered };
  },
  close: ({ client }) => void clients.get(client).socket.disconnect(),
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, do: action, ...rest } = JSON.parse(line);
  try {
    const result = await ACTIONS[action](rest);
    console.log(JSON.stringify({ id, result: encode(result) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ id, error: error.message }));
  }
}).on("close", () => process.exit(0));
