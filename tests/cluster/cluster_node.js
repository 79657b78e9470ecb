"use strict";
// A server of a cluster on Node with the official adapters: the events of examples/cluster_node.py.
//
//   node cluster_node.js --port 3001 --redis redis://127.0.0.1:6379 --adapter sharded
const { createServer } = require("node:http");
const { parseArgs } = require("node:util");
const { createClient } = require("redis");
const { Server } = require("socket.io");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    redis: { type: "string", default: "redis://127.0.0.1:6379" },
    adapter: { type: "string", default: "sharded" },
    mode: { type: "string", default: "dynamic" },
    specific: { type: "boolean", default: false },
    recovery: { type: "boolean", default: false },
    eio3: { type: "boolean", default: false },
    name: { type: "string" },
  },
});
const TIMEOUT = 60_000; // a target may have another `timeout`, in seconds

const ADAPTERS = {
  classic: (client, subscriber) =>
    createAdapter(client, subscriber, {
      publishOnSpecificResponseChannel: options.specific,
      requestsTimeout: TIMEOUT,
    }),
  sharded: (client, subscriber) =>
    createShardedAdapter(client, subscriber, { subscriptionMode: options.mode }),
  streams: (client) => streams.createAdapter(client),
};

const select = (namespace, target) => {
  let operator = namespace.except(target.except ?? []);
  if (target.rooms?.length) operator = operator.to(target.rooms);
  return target.local ? operator.local : operator;
};

const describe = (socket) => ({
  id: socket.id,
  rooms: [...socket.rooms].sort(),
  data: socket.data,
  auth: socket.handshake.auth,
});

/** Register an event whose handler returns the answer; an error is answered as `{error}`. */
const on = (socket, event, handler) =>
  socket.on(event, async (...args) => {
    const ack = args.at(-1) instanceof Function ? args.pop() : () => {};
    try {
      ack(await handler(...args));
    } catch (error) {
      ack({ error: error.message });
    }
  });

const register = (namespace, node) => {
  namespace.on("connection", (socket) => {
    socket.join("room1");
    const rooms = () => [...socket.rooms].sort();
    socket.on("echo", (...args) => args.pop()(...args));
    on(socket, "whoami", () => ({ id: socket.id, node, rooms: rooms(), recovered: socket.recovered }));
    on(socket, "emit-back", (event, ...args) => void socket.emit(event, ...args));
    socket.on("drop", () => socket.conn.close());
    on(socket, "set-data", (data) => void (socket.data = data));
    on(socket, "join", async (...names) => (await socket.join(names), rooms()));
    on(socket, "leave", async (...names) => {
      for (const name of names) await socket.leave(name);
      return rooms();
    });
    on(socket, "emit", (target, event, ...args) => {
      select(namespace, target).emit(event, ...args);
    });
    on(socket, "request", async (target, event, ...args) => {
      const operator = select(namespace, target).timeout(target.timeout ? target.timeout * 1000 : TIMEOUT);
      return new Promise((resolve) => {
        operator.emit(event, ...args, (error, responses) => {
          resolve({ responses, missing: [], clients: error ? 1 : 0, servers: 0 });
        });
      });
    });
    on(socket, "fetch", async (target) => {
      const sockets = await select(namespace, target).timeout(target.timeout ? target.timeout * 1000 : TIMEOUT).fetchSockets();
      return { sockets: sockets.map(describe), servers: 0 };
    });
    on(socket, "request-socket", async (id, event, ...args) => {
      const [found] = await namespace.in(id).timeout(TIMEOUT).fetchSockets();
      return found ? found.timeout(TIMEOUT).emitWithAck(event, ...args) : "not found";
    });
    on(socket, "sockets-join", (target, ...names) => {
      select(namespace, target).socketsJoin(names);
    });
    on(socket, "sockets-leave", (target, ...names) => {
      select(namespace, target).socketsLeave(names);
    });
    on(socket, "disconnect-sockets", (target, close) => {
      select(namespace, target).disconnectSockets(close);
    });
    on(socket, "server-emit", (event, ...args) => void namespace.serverSideEmit(event, ...args));
    on(socket, "server-request", async (event, ...args) => ({
      answers: await namespace.serverSideEmitWithAck(event, ...args),
      servers: 0,
    }));
    on(socket, "server-count", () => namespace.adapter.serverCount());
    on(socket, "status", () => ({}));
  });
  namespace.on("note", (...args) => namespace.local.emit("noted", node, ...args));
  namespace.on("sum", (...args) => {
    const ack = args.pop();
    ack([node, args.reduce((sum, value) => sum + value, 0)]);
  });
};

const main = async () => {
  const client = createClient({ url: options.redis });
  const subscriber = client.duplicate();
  for (const each of [client, subscriber]) {
    each.on("error", () => {}); // the client connects again by itself
    await each.connect();
  }
  const http = createServer();
  const io = new Server(http, {
    adapter: ADAPTERS[options.adapter](client, subscriber),
    allowEIO3: options.eio3,
    connectionStateRecovery: options.recovery ? { skipMiddlewares: true } : undefined,
  });
  http.listen(Number(options.port), "127.0.0.1", () => {
    const { port } = http.address();
    const node = options.name ?? `node-${port}`;
    for (const name of ["/", "/chat"]) register(io.of(name), node);
    console.log(`${node} listens on http://127.0.0.1:${port}`);
  });
  // The parent ends the server by closing its standard input.
  process.stdin.resume().on("end", () => process.exit(0));
};

main();
