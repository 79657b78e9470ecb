"use strict";
// Cases of one proxy; arguments: its URL, a token, and the part: "all" cases, only "idle", or
// "stripped" for a proxy that removes the Upgrade header.
// The cases connect from 127.0.0.2, so that the log of the hub shows the forwarded address.
const https = require("node:https");
const path = require("node:path");
const interop = path.join(__dirname, "..", "interop");
const { io } = require(path.join(interop, "node_modules", "socket.io-client"));
const { assert, CaseContext, check, connected, emitWithAck, nextEvent, runCases, waitUntil } = require(
  path.join(interop, "harness.js"),
);

const [url, token, part] = process.argv.slice(2);
const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]];
// Three pings are 75 seconds: longer than the idle timeouts of 60 seconds.
const PINGS = 3;
const IDLE_LIMIT = 270_000;
const UPLOAD_BYTES = 30_000_000;

const options = (transports) => ({ transports, agent: new https.Agent({ localAddress: "127.0.0.2", keepAlive: true }) });

const request = async (method, target, headers = {}, body = undefined) =>
  new Promise((resolve, reject) => {
    const sent = https.request(url + target, { method, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });

const idle = async (t, transports) => {
  const socket = await t.connect("/", options(transports));
  const ended = new Promise((_, reject) => socket.once("disconnect", (reason) => reject(new Error(`disconnected: ${reason}`))));
  let pings = 0;
  const pinged = new Promise((resolve) => socket.io.on("ping", () => ++pings === PINGS && resolve()));
  await Promise.race([pinged, ended]);
  const [answer] = await emitWithAck(socket, "get-vulnerability-stats", {});
  assert.equal(answer.success, true);
};

if (part === "idle") {
  check("idle", async (t) => {
    await Promise.all(TRANSPORTS.map((transports) => idle(t, transports)));
  }, IDLE_LIMIT);
} else {
  for (const transports of part === "stripped" ? TRANSPORTS.slice(-1) : TRANSPORTS) {
    check(`connect ${transports}`, async (t) => {
      const socket = t.open("/", { ...options(transports), extraHeaders: { forwarded: "for=203.0.113.9" } });
      const refused = nextEvent(socket.io.engine, "upgradeError");
      await connected(socket);
      const [answer] = await emitWithAck(socket, "get-vulnerability-stats", {});
      assert.equal(answer.success, true);
      if (part === "stripped") await refused;
      const last = part === "stripped" ? "polling" : transports.at(-1);
      await waitUntil(() => socket.io.engine.transport.name === last);
      return socket.id;
    });
  }
  check("large upload", async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "text/csv" };
    const body = Buffer.alloc(UPLOAD_BYTES, "hostname,cve\n");
    const { status, text } = await request("POST", "/api/imports/upload?filename=large.csv", headers, body);
    assert.equal(status, 201, text);
    assert.equal(JSON.parse(text).size, UPLOAD_BYTES);
  });
  check("internal paths", async () => {
    const statuses = [];
    for (const target of ["/metrics", "/socket-metrics", "/ingest/v1/emit"]) {
      statuses.push((await request(target.startsWith("/ingest") ? "POST" : "GET", target)).status);
    }
    assert.equal((await request("GET", "/health")).status, 200);
    return statuses;
  });
}
runCases(() => new CaseContext(io, url, { auth: { token } }));
