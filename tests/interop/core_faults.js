"use strict";
// node core_faults.js PACKAGE TRANSPORTS CASE URL
// Play one case with a client package and print one report.
const [name, transports, which, url] = process.argv.slice(2);
const { report } = require("./harness");
const client = require(name);
const io = client.io || client;

const options = { transports: transports.split(","), reconnection: false, forceNew: true };
if (which === "large") Object.assign(options, { reconnection: true, reconnectionDelay: 10 });
if (which === "dates") options.parser = require("socket.io-msgpack-parser");
const socket = io(url, options);
const finish = (data) => {
  report(data);
  process.exit(0);
};
const limit = setTimeout(() => finish({ error: "the case did not end within 270 s" }), 270_000);

const cases = {
  /** Send many events, then leave at once. */
  leave() {
    for (let number = 0; number < 1000; number++) socket.emit("x", number);
    socket.emit("ask", () => {});
    socket.disconnect();
    report({});
    limit.unref(); // the process ends when all requests have ended
  },

  /** Count the volatile events that arrive while the transport is upgraded. */
  volatile() {
    const numbers = [];
    socket.on("number", (number) => numbers.push(number));
    socket.on("end", (transport) => finish({ numbers, transport }));
  },

  /** Send a POST that is too large, and report the disconnect after the client has returned. */
  large() {
    socket.on("disconnect", (reason, details) => {
      socket.off("connect");
      socket.on("connect", () => finish({ reason, status: details?.description }));
    });
    socket.emit("x", "x".repeat(2000));
  },

  /** Send dates that other languages do not have. */
  dates() {
    const dates = [253402300800000, 8640000000000000, -62167219200001, 1700000000123];
    socket.emit("dates", ...dates.map((time) => new Date(time)), (...answer) =>
      finish({ answer, expected: dates.map((time) => new Date(time).toJSON()) }),
    );
    socket.on("disconnect", (reason) => finish({ error: reason }));
  },
};
socket.on("connect", cases[which]);
socket.on("connect_error", (error) => finish({ error: String(error) }));
