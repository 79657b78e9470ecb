"use strict";
// node counting_server.js: a server with recovery that counts in both directions.
// It prints its port, then, for each line on its standard input, the numbers that it has received.
// The program ends when its standard input ends.
const { createServer } = require("http");
const { createInterface } = require("readline");
const { Server } = require("../targets/node_modules/socket.io");

const http = createServer();
// On a busy machine, a ping or a pong may be late.
const io = new Server(http, { connectionStateRecovery: {}, pingInterval: 1000, pingTimeout: 60_000 });
const seen = new Set();
const applied = [];
let repeated = 0;
let last = 0;

io.on("connection", (socket) => {
  if (!socket.recovered) socket.join("readers");
  socket.on("up", (number, ack) => {
    if (seen.has(number)) {
      repeated += 1;
    } else {
      seen.add(number);
      applied.push(number);
    }
    ack(number);
  });
  socket.on("count", (ack) => {
    ack();
    const timer = setInterval(() => {
      last += 1;
      io.to("readers").emit("number", last);
      io.to("others").emit("number", -last);
      if (last === 1000) clearInterval(timer);
    }, 6);
  });
});

http.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: http.address().port })));
const lines = createInterface({ input: process.stdin });
lines.on("line", () => console.log(JSON.stringify({ applied, repeated, last })));
lines.on("close", () => process.exit(0));
