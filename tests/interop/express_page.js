// A page of the application in express_app.js with the official client and its own reconnection.
// It prints each event as a line of JSON. Arguments: the URL of the hub, and the cookie or "" and a
// token.
// Commands on standard input: "join <id>", which the page repeats after each connect; "quit".
"use strict";
const readline = require("node:readline");
const { io } = require("socket.io-client");

const [url, cookie, token] = process.argv.slice(2);
const joined = new Set();
const report = (event, detail = null) => process.stdout.write(`${JSON.stringify({ event, detail })}\n`);

const login = token ? { auth: { token } } : { extraHeaders: { cookie, origin: url } };
const socket = io(url, { ...login, reconnectionDelay: 50, reconnectionDelayMax: 200 });
const join = (id) => socket.emit("join-progress", id, (answer) => report("joined", answer));

socket.on("connect", () => {
  report("connect");
  joined.forEach(join);
});
socket.on("connect_error", (error) => report("connect_error", { message: error.message, ...error.data }));
socket.on("disconnect", (reason) => report("disconnect", reason));
for (const event of ["progress-update", "progress-status", "progress-complete", "progress-error"]) {
  socket.on(event, (payload) => report(event, payload));
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [command, id] = line.split(" ");
  if (command === "join") {
    joined.add(id);
    join(id);
  } else {
    socket.disconnect();
    process.stdin.destroy();
  }
});
