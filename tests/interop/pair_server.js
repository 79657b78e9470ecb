"use strict";
// A server of socket.io that runs a piece of code with its `io`. Argument: the code. It prints its port, and ends
// with its standard input.
const { createRequire } = require("node:module");
const { createServer } = require("node:http");
const { resolve } = require("node:path");

const { Server } = createRequire(resolve(__dirname, "../cluster/package.json"))("socket.io");
const http = createServer();
new Function("io", process.argv[2])(new Server(http));
http.listen(0, "127.0.0.1", () => process.stdout.write(`${http.address().port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
