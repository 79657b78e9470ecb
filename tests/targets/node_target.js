// Target with the official servers: one port for each profile of spec-vectors/README.md.
// The program prints its name and the ports as one line of JSON and ends when its standard input ends.
"use strict";

const { createServer } = require("http");
const engine = require("engine.io");
const { Server } = require("socket.io");

const LONG = { pingInterval: 25000, pingTimeout: 20000 };
const SHORT = { pingInterval: 300, pingTimeout: 200 };
// A dialogue waits for the end of one second, other tests set a long time.
const CONNECT_TIMEOUT = 1000 * Number(process.env.CONNECT_TIMEOUT ?? 1);
const PROFILE = { "x-echo-profile": "extended" };

function listen(server) {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
}

function remember(map, key, value) {
  map.set(key, value);
  if (map.size > 1000) map.delete(map.keys().next().value);
}

function notFound(request, response) {
  response.writeHead(404).end();
}

function makeEngineEcho(options) {
  const http = createServer(notFound);
  const server = engine.attach(http, { cors: { origin: "*" }, cookie: true, ...options });
  const reasons = new Map();
  server.on("initial_headers", (headers) => Object.assign(headers, PROFILE));
  server.on("connection", (socket) => {
    socket.on("close", (reason) => remember(reasons, socket.id, reason));
    socket.on("message", (data) => {
      const [command, argument] = typeof data === "string" ? data.split(" ") : [];
      if (command === "!close") {
        socket.send("bye");
        socket.close();
      } else if (command === "!burst") {
        for (let n = 0; n < Number(argument); n++) socket.send(String(n));
      } else if (command === "!large") {
        socket.send("x".repeat(Number(argument)));
      } else if (command === "!reason") {
        socket.send(reasons.get(argument) || "none");
      } else {
        socket.send(data);
      }
    });
  });
  return listen(http);
}

function addEchoHandlers(namespace, reasons) {
  namespace.on("connection", (socket) => {
    socket.emit("auth", socket.handshake.auth);
    socket.on("disconnect", (reason) => remember(reasons, socket.id, reason));
    socket.on("message", (...args) => socket.emit("message-back", ...args));
    socket.on("message-with-ack", (...args) => args.pop()(...args));
    socket.on("emit-with-ack", (...args) =>
      socket.emit("emit-with-ack", ...args, (...reply) => socket.emit("emit-with-ack", ...reply))
    );
    addExtendedHandlers(socket, reasons);
  });
}

function addExtendedHandlers(socket, reasons) {
  const nsp = socket.nsp;
  socket.on("join", (room, ack) => { socket.join(room); ack(); });
  socket.on("leave", (room, ack) => { socket.leave(room); ack(); });
  socket.on("to-room", (room, ...args) => nsp.to(room).emit("room", ...args));
  socket.on("to-others", (room, ...args) => socket.to(room).emit("others", ...args));
  socket.on("except-room", (room, hidden, ...args) => nsp.to(room).except(hidden).emit("room", ...args));
  socket.on("to-rooms", (rooms, ...args) => nsp.to(rooms).emit("room", ...args));
  socket.on("except-rooms", (room, hidden, ...args) => nsp.to(room).except(hidden).emit("room", ...args));
  socket.on("to-all", (...args) => nsp.emit("all", ...args));
  socket.on("to-all-others", (...args) => socket.broadcast.emit("all", ...args));
  socket.on("volatile-room", (room, ...args) => setImmediate(() => nsp.to(room).volatile.emit("room", ...args)));
  socket.on("ask-room", (room, ...args) =>
    nsp.to(room).timeout(500).emit("question", ...args, (err, replies) => socket.emit("answers", err ? "timeout" : "complete", replies))
  );
  socket.on("ask-slowly", (...args) =>
    socket.timeout(100).emit("question", ...args, (err, ...reply) => socket.emit("answer", err ? "timeout" : "complete", ...reply))
  );
  socket.on("volatile-after", () => {
    socket.emit("regular");
    socket.volatile.emit("volatile");
  });
  socket.on("volatile-alone", () => setImmediate(() => socket.volatile.emit("volatile", 1)));
  socket.on("regular-then-volatile", () => setImmediate(() => {
    socket.emit("regular");
    socket.volatile.emit("volatile");
  }));
  socket.on("volatile-then-regular", () => setImmediate(() => {
    socket.volatile.emit("volatile");
    socket.emit("regular");
  }));
  socket.on("ack-later", (milliseconds, ...args) => setTimeout(() => args.pop()(...args), milliseconds));
  socket.on("volatile-twice", () => setImmediate(() => {
    socket.volatile.emit("volatile", 1);
    socket.volatile.emit("volatile", 2);
  }));
  socket.on("disconnect-me", (close) => socket.disconnect(close));
  socket.on("reason-of", (id, ack) => ack(reasons.get(id) || "none"));
  socket.on("set-data", (value, ack) => { socket.data.value = value; ack(); });
  socket.on("get-data", (ack) => ack(socket.data.value === undefined ? null : socket.data.value, socket.recovered));
  socket.on("handshake", (ack) => ack({ auth: socket.handshake.auth, probe: socket.handshake.query.probe || null, header: socket.handshake.headers["x-probe"] || null, xdomain: socket.handshake.xdomain }));
}

function makeSocketEcho(options, profile = PROFILE) {
  const http = createServer(notFound);
  const io = new Server(http, { cors: { origin: "*" }, connectTimeout: CONNECT_TIMEOUT, ...options });
  const reasons = new Map();
  io.engine.on("initial_headers", (headers) => Object.assign(headers, profile));
  const refusing = io.of("/refusing");
  refusing.use((socket, next) => {
    if (socket.handshake.auth.token === "secret") return next();
    const error = new Error("not authorized");
    if (socket.handshake.auth.verbose) error.data = { code: "E1", retry: false };
    next(error);
  });
  const slow = io.of("/slow");
  slow.use((socket, next) => setTimeout(next, 200));
  for (const each of [io.of("/"), io.of("/custom"), refusing, slow, io.of(/^\/dynamic-\d+$/)]) {
    addEchoHandlers(each, reasons);
  }
  return listen(http);
}

async function main() {
  const ports = {
    "engineio": await makeEngineEcho(LONG),
    "engineio-short": await makeEngineEcho({ ...SHORT, upgradeTimeout: 500 }),
    "socketio": await makeSocketEcho(LONG),
    "socketio-short": await makeSocketEcho(SHORT),
    "socketio-many-pings": await makeSocketEcho({ pingInterval: 300, pingTimeout: 60_000 }),
    "recovery": await makeSocketEcho({ ...LONG, connectionStateRecovery: {} }),
    "checked-recovery": await makeSocketEcho(
      { ...LONG, connectionStateRecovery: { skipMiddlewares: false } },
      { "x-echo-profile": "extended, checked-recovery" }
    ),
    "engineio-eio3": await makeEngineEcho({ ...LONG, allowEIO3: true }),
    "engineio-eio3-short": await makeEngineEcho({ ...SHORT, upgradeTimeout: 500, allowEIO3: true }),
    "socketio-eio3": await makeSocketEcho({ ...LONG, allowEIO3: true }),
  };
  const version = (name) => `${name} ${require(`./node_modules/${name}/package.json`).version}`;
  console.log(JSON.stringify({ server: `${version("socket.io")}, ${version("engine.io")}`, ports }));
}

process.stdin.on("end", () => process.exit(0)).resume();
main();
