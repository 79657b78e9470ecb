#!/usr/bin/env bash
# Admin UI of Socket.IO: open details of a socket do not show a new key of socket.data.
#
# The server sends the new data at once, and the page merges it into the object that it has. The page is built
# with Vue 2, which does not observe keys that are added to an object: the view stays as it was until another
# value of the same socket changes, or until the details are opened again.
#
# Affected: people who watch socket.data in the page while a server fills it step by step, for example with the
# name of a user after a login, and tests that wait for such a value in the page. The values are not lost:
# open the details again. A server avoids it by setting all keys, empty, when the socket connects.
# Source: @socket.io/admin-ui 0.5.1, store/modules/main in the source map of the page, onSocketUpdated;
# Vue 2 guide, "Reactivity in Depth", change detection of objects.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" @socket.io/admin-ui@0.5.1 socket.io@4.8.3 socket.io-client@4.8.3 jsdom@26.1.0 >/dev/null
cat > program.cjs <<'NODE'
const { createServer } = require("node:http");
const { readFileSync } = require("node:fs");
const { join, dirname } = require("node:path");
const { Server } = require("socket.io");
const { instrument } = require("@socket.io/admin-ui");
const { io: connect } = require("socket.io-client");
const { JSDOM, VirtualConsole } = require("jsdom");

const ui = join(dirname(require.resolve("@socket.io/admin-ui/package.json")), "ui", "dist");
const types = { html: "text/html", js: "text/javascript", css: "text/css" };
const http = createServer((request, response) => {
  const path = request.url.split("?")[0];
  const file = join(ui, path === "/" ? "index.html" : path);
  response.setHeader("content-type", types[file.split(".").pop()] ?? "application/octet-stream");
  try {
    response.end(readFileSync(file));
  } catch {
    response.writeHead(404).end();
  }
});
const server = new Server(http);
instrument(server, { auth: false, mode: "development" });
server.on("connection", (socket) => {
  socket.data.name = "";
  socket.on("set", (key, value) => {
    socket.data[key] = value;
  });
});

const until = async (what, condition, limit = 30_000) => {
  for (const end = Date.now() + limit; ; await new Promise((go) => setTimeout(go, 50))) {
    const value = condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not seen: ${what}`);
  }
};

http.listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${http.address().port}`;
  const client = connect(url, { transports: ["websocket"] });
  // Another admin, who receives the same events as the page.
  const admin = connect(`${url}/admin`, { transports: ["websocket"], forceNew: true });
  const updates = [];
  admin.on("socket_updated", (update) => updates.push(update.data));
  await new Promise((go) => client.on("connect", go));
  const { window } = await JSDOM.fromURL(`${url}/`, {
    runScripts: "dangerously", resources: "usable", pretendToBeVisual: true, virtualConsole: new VirtualConsole(),
    beforeParse: (page) => {
      page.matchMedia = () => ({ matches: false, addListener() {}, removeListener() {} });
      page.localStorage.setItem("server_url", url);
      page.localStorage.setItem("ws_only", "true");
    },
  });
  const text = () => window.document.body?.textContent ?? "";
  const details = () => [...window.document.querySelectorAll("pre code")].pop()?.textContent ?? "";
  const open = async () => {
    window.location.hash = "#/sockets/";
    await until("the list", () => details() === "");
    window.location.hash = `#/n/%2F/sockets/${client.id}`;
    await until("details", () => details().includes("name"));
  };
  window.location.hash = "#/sockets/";
  await until("the client in the list", () => text().includes(client.id));
  await open();
  console.log("@socket.io/admin-ui 0.5.1");
  console.log("expected: the open details show each key of socket.data after its update");

  client.emit("set", "team", "red");
  await until("the update", () => updates.some((data) => data?.team === "red"));
  await new Promise((go) => setTimeout(go, 2000));
  const stale = details();
  console.log(`after a new key: ${stale.replace(/\s+/g, " ")}`);
  client.emit("set", "name", "ann");
  const fresh = await until("the changed value", () => details().includes("ann") && details());
  console.log(`after another value has changed: ${fresh.replace(/\s+/g, " ")}`);
  process.exit(!stale.includes("team") && fresh.includes("team") ? 0 : 1);
});
setTimeout(() => process.exit(1), 120_000).unref();
NODE
node program.cjs
