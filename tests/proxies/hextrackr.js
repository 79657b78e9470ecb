"use strict";
// A page of HexTrackr behind nginx; arguments: its URL, the cookie and the sid of its session.
const https = require("node:https");
const path = require("node:path");
const interop = path.join(__dirname, "..", "interop");
const { io } = require(path.join(interop, "node_modules", "socket.io-client-481"));
const { assert, CaseContext, check, emitWithAck, nextEvent, runCases, waitUntil } = require(
  path.join(interop, "harness.js"),
);

const [url, cookie, sid] = process.argv.slice(2);
const SESSION = "import-1735088423891-a3b2c1d4e";

const post = (target) =>
  new Promise((resolve, reject) => {
    https.request(url + target, { method: "POST", headers: { cookie } }, (response) => response.resume().on("end", resolve)).on("error", reject).end();
  });

check("import and logout", async (t) => {
  const socket = await t.connect("/", {
    agent: new https.Agent({ localAddress: "127.0.0.2", keepAlive: true }),
    extraHeaders: { cookie, origin: url },
    transports: ["polling", "websocket"],
  });
  await waitUntil(() => socket.io.engine.transport.name === "websocket");
  const id = socket.id;
  const [joined] = await emitWithAck(socket, "join-progress", SESSION);
  assert.equal(joined.success, true);
  const complete = nextEvent(socket, "progress-complete");
  await post(`/import/${SESSION}`);
  const [{ progress, metadata }] = await complete;
  assert.deepEqual([progress, metadata.rows], [100, 3]);
  const ended = nextEvent(socket, "disconnect");
  await post(`/logout/${sid}`);
  assert.equal((await ended)[0], "io server disconnect");
  return id;
});
runCases(() => new CaseContext(io, url, {}));
