"use strict";
// Prints `ready` after the connection, then the arguments of the first `user-started-editing`.
// Arguments: URL, token, transports separated by commas, and the package of the client.
const path = require("node:path");
const modules = path.join(__dirname, "..", "interop", "node_modules");

const [url, token, transports, name] = process.argv.slice(2);
const { io } = require(path.join(modules, name));

const LIMIT_MS = 270_000;

const socket = io(url, { auth: { token }, transports: transports.split(","), reconnection: false });
socket.on("connect", () => console.log("ready"));
socket.on("connect_error", (error) => console.error(error));
socket.on("user-started-editing", (...values) => {
  console.log(JSON.stringify(values));
  process.exit(0);
});
setTimeout(() => {
  console.error(`no event within ${LIMIT_MS} ms`);
  process.exit(1);
}, LIMIT_MS);
