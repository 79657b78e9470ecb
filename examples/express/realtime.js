// Reports the events of an Express application to the hub: a replacement for its Socket.IO server.
// docs/express-shim.md describes the use. Requires Node 18 or later and no package.
"use strict";

const base = process.env.HEXTRACKR_REALTIME_URL || "http://127.0.0.1:8090";
const headers = {
  "content-type": "application/json",
  authorization: `Bearer ${process.env.HEXTRACKR_INGEST_TOKEN}`,
};
const TIMEOUT_MS = 5000;
// Delays before the final event of an import is reported again: the hub may be restarting.
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000];
const FINAL = new Set(["progress-complete", "progress-error"]);

const queues = new Map(); // the reports of a room are sent one by one

/** Report to the hub; return whether another attempt may succeed. */
async function report(path, body) {
  try {
    const answer = await fetch(`${base}/ingest/v1/${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!answer.ok) console.error("realtime:", answer.status, await answer.text());
    return answer.status === 429 || answer.status >= 500;
  } catch (error) {
    console.error("realtime:", error.message, error.cause?.code || "");
    return true;
  }
}

async function reportEvent(room, event, args) {
  const body = { rooms: [room], event, args };
  let failed = await report("emit", body);
  for (const delay of FINAL.has(event) ? RETRY_DELAYS_MS : []) {
    if (!failed) return;
    await new Promise((resolve) => setTimeout(resolve, delay));
    failed = await report("emit", body);
  }
}

function emit(room, event, args) {
  const queue = queues.get(room) || { last: Promise.resolve(), updates: 0, length: 0 };
  const number = event === "progress-update" ? ++queue.updates : 0;
  queue.length++;
  queues.set(room, queue);
  queue.last = queue.last
    // A newer update replaces an update that still waits.
    .then(() => (number && number < queue.updates ? null : reportEvent(room, event, args)))
    .then(() => --queue.length || queues.delete(room));
}

/** The methods of Socket.IO's server that HexTrackr calls. */
exports.io = {
  to: (room) => ({ emit: (event, ...args) => emit(room, event, args) }),
  on() {},
  engine: { use() {} },
};

/** Disconnect the clients of `{ sessionId }` at logout, or of `{ userId }` when a role changes. */
exports.revoke = async (body) => {
  await report("sessions/revoke", body);
};
