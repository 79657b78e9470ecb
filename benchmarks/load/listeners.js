// Official clients of the delivery benchmark:  node benchmarks/load/listeners.js PROXY_PORT PORT CLIENTS SECONDS TRANSPORTS
// Prints "connected" when all clients are connected through the proxy, "ended" after the last tick, and JSON when all
// clients are connected again, and have received all ticks or nothing for QUIET milliseconds.
"use strict";

const { io } = require("socket.io-client");

const [proxy, port, count, seconds, transports] = process.argv.slice(2);
const QUIET = 10_000; // longer than the heartbeat of the servers
const clients = [];
let ready = 0;
let last = 0;

function listen() {
  const client = { numbers: new Set(), again: 0, recovered: 0, fresh: 0, highest: -1, disordered: 0 };
  client.socket = io(`http://127.0.0.1:${proxy}`, {
    forceNew: true,
    transports: transports.split(","),
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
  });
  let isFirst = true;
  client.socket.on("connect", () => {
    if (isFirst) {
      isFirst = false;
      if (++ready === Number(count)) begin();
    } else if (client.socket.recovered) {
      client.recovered++;
    } else {
      client.fresh++;
    }
  });
  client.socket.on("tick", (number) => {
    last = Date.now();
    if (client.numbers.has(number)) client.again++;
    if (number < client.highest) client.disordered++;
    client.highest = Math.max(client.highest, number);
    client.numbers.add(number);
  });
  clients.push(client);
}

function begin() {
  console.log("connected");
  const control = io(`http://127.0.0.1:${port}`, { forceNew: true, transports: ["websocket"] });
  control.emit("begin", Number(seconds), (ticks) => {
    console.log("ended");
    const ended = Date.now();
    const timer = setInterval(() => {
      const received = clients.reduce((total, { numbers }) => total + numbers.size, 0);
      const isComplete = received === ticks * clients.length;
      if (!clients.every(({ socket }) => socket.connected)) return;
      if (!isComplete && Date.now() - Math.max(last, ended) < QUIET) return;
      clearInterval(timer);
      const sum = (name) => clients.reduce((total, client) => total + client[name], 0);
      console.log(
        JSON.stringify({
          received,
          expected: ticks * clients.length,
          again: sum("again"),
          disordered: sum("disordered"),
          recovered: sum("recovered"),
          fresh: sum("fresh"),
        }),
      );
      process.exit(0);
    }, 100);
  });
}

for (let i = 0; i < Number(count); i++) listen();
