"use strict";
// node import_live.js URL TRANSPORTS FILES TOKENS
// FILES and TOKENS are JSON: {sample, another, tiny, header, unknownColumns} with paths of CSV files, and
// {user, other, admin} with tokens.
const { readFileSync } = require("node:fs");
const { io } = require("socket.io-client");
const { CaseContext, assert, check, nextEvent, runCases, waitUntil } = require("./harness");

const [url, transports, filesGiven, tokensGiven] = process.argv.slice(2);
const files = JSON.parse(filesGiven);
const tokens = JSON.parse(tokensGiven);
const options = { transports: transports.split(","), auth: { token: tokens.user } };

const upload = async (file, token, path = "/api/imports") => {
  const response = await fetch(`${url}${path}?filename=scan.csv`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "text/csv" },
    body: readFileSync(file),
  });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
};

/** Return an object that collects the payloads of all events by name. */
const collect = (socket) => {
  const received = {};
  socket.onAny((name, payload) => (received[name] ??= []).push(payload));
  return received;
};

const inline = (socket, file) =>
  socket.emitWithAck("start-import", {
    source: "inline",
    filename: "inline.csv",
    csv: readFileSync(file, "utf8"),
  });

const statistics = async (socket) => {
  const answer = await socket.emitWithAck("get-vulnerability-stats");
  assert.equal(answer.success, true);
  return answer.data;
};

const isNonDecreasing = (numbers) => numbers.every((n, i) => i === 0 || n >= numbers[i - 1]);

check("a client without a valid token is refused with a reason", async (t) => {
  for (const auth of [undefined, {}, { token: "" }, { token: "bad" }, { token: tokens.user + "x" }, { token: [1] }]) {
    const socket = t.open("/", { auth });
    const [error] = await nextEvent(socket, "connect_error");
    assert.equal(error.data.code, "UNAUTHORIZED", JSON.stringify(auth));
    assert.ok(error.message);
    assert.equal(socket.connected, false);
  }
});

check("a bearer token in the handshake headers authenticates", async (t) => {
  const socket = await t.connect("/", {
    auth: undefined,
    extraHeaders: { authorization: `Bearer ${tokens.user}` },
  });
  assert.equal((await statistics(socket)).totals.findings, 0);
});

check("an inline import is started and completed", async (t) => {
  const socket = await t.connect();
  const finished = nextEvent(socket, "import-finished");
  const answer = await inline(socket, files.tiny);
  assert.equal(answer.success, true);
  assert.equal(answer.status, "queued");
  const [result] = await finished;
  assert.equal(result.importId, answer.importId);
  assert.equal(result.status, "completed");
  assert.equal(result.summary.rows, 3);
  return result;
});

check("an import over HTTP reports its progress and its end", async (t) => {
  const socket = await t.connect();
  const received = collect(socket);
  // Imports of two users may run at the same time; the statistics name the one that ends last.
  const other = await t.connect("/", { auth: { token: tokens.other } });
  const otherEnded = nextEvent(other, "import-finished");
  const otherImport = await upload(files.another, tokens.other);
  await otherEnded;
  const { importId } = await upload(files.sample, tokens.user);
  const finished = nextEvent(socket, "import-finished");
  const joined = await socket.emitWithAck("join-import-room", importId);
  assert.equal(joined.success, true);
  assert.equal(joined.status.importId, importId);
  const [result] = await finished;

  const progress = [joined.status, ...received["import-progress"]];
  assert.ok(progress.length >= 3, `only ${progress.length} states received`);
  for (const field of ["percentage", "overall", "processed", "seq"]) {
    const values = progress.map((each) => each[field]);
    assert.ok(values.every(Number.isInteger), `${field}: ${values}`);
    assert.ok(isNonDecreasing(values), `${field}: ${values}`);
  }
  for (const { percentage, progress: nested } of received["import-progress"]) {
    assert.ok(percentage >= 0 && percentage <= 100);
    assert.equal(nested.percentage, percentage);
  }
  assert.deepEqual(received["import-started"].map((each) => each.importId), [importId]);
  assert.deepEqual(received["import-completed"], [result]);
  assert.deepEqual(received["import-finished"], [result]);
  assert.equal(received["import-failed"], undefined);
  for (const payloads of Object.values(received)) {
    for (const payload of payloads) assert.notEqual(payload.importId, otherImport.importId);
  }
  assert.equal(result.totalProcessed, result.summary.rows);
  return result;
});

check("the statistics ack contains the last import", async (t) => {
  const socket = await t.connect();
  const data = await statistics(socket);
  assert.equal(data.lastImport.filename, "scan.csv");
  return data;
});

/** Upload an invalid file, check that no statistics change, and return `import-failed`. */
const importFailure = async (t, file) => {
  const socket = await t.connect();
  const before = await statistics(socket);
  const received = collect(socket);
  const failed = nextEvent(socket, "import-failed");
  const { importId } = await upload(file, tokens.user);
  const [failure] = await failed;
  assert.equal(failure.importId, importId);
  assert.equal(failure.status, "failed");
  assert.equal(failure.code, "VALIDATION_ERROR");
  assert.equal(received["import-finished"], undefined);
  const after = await statistics(socket);
  assert.deepEqual({ ...after, generatedAt: 0 }, { ...before, generatedAt: 0 });
  return failure;
};

check("a file with unknown columns fails and names the missing columns", async (t) => {
  const failure = await importFailure(t, files.unknownColumns);
  assert.match(failure.message, /no known format has these columns/);
  assert.deepEqual([...new Set(failure.fields.map((each) => each.path))], ["header"]);
});

check("a file with a valid header and no rows fails", async (t) => {
  assert.match((await importFailure(t, files.header)).message, /no rows/);
});

check("a client that left the room of an import receives no further events", async (t) => {
  // The client is an admin: the user of the import receives coarse steps outside of the room.
  const socket = await t.connect("/", { auth: { token: tokens.admin } });
  const received = collect(socket);
  const ended = [];
  (await t.connect()).on("import-finished", (payload) => ended.push(payload.importId));
  // Imports of one user run one after the other: the client leaves before the second one starts.
  await upload(files.another, tokens.user);
  const { importId } = await upload(files.tiny, tokens.user);
  assert.equal((await socket.emitWithAck("join-import-room", importId)).success, true);
  assert.deepEqual(await socket.emitWithAck("leave-import-room", importId), { success: true });
  await waitUntil(() => ended.includes(importId));
  await statistics(socket);
  assert.equal(received["import-progress"], undefined);
  assert.equal(received["import-completed"], undefined);
});

check("only admins may join the import room of another user", async (t) => {
  const admin = await t.connect("/", { auth: { token: tokens.admin } });
  const other = await t.connect("/", { auth: { token: tokens.other } });
  const user = await t.connect();
  const finished = nextEvent(user, "import-finished");
  const { importId } = await upload(files.tiny, tokens.user);
  assert.equal((await other.emitWithAck("join-import-room", importId)).code, "NOT_FOUND");
  assert.equal((await admin.emitWithAck("join-import-room", importId)).success, true);
  await finished;
});

check("an invalid packet disconnects only its client", async (t) => {
  const other = await t.connect();
  const sender = await t.connect();
  await waitUntil(() => sender.io.engine.transport.name === options.transports.at(-1));
  const disconnected = nextEvent(sender, "disconnect");
  sender.io.engine.write("2[broken");
  assert.match((await disconnected)[0], /^transport (close|error)$/);
  assert.equal(sender.connected, false);
  assert.equal(other.connected, true);
  await statistics(other);
});

check("invalid arguments and missing acks leave the connection open", async (t) => {
  const socket = await t.connect();
  socket.emit("join-import-room");
  socket.emit("start-import", null);
  socket.emit("get-vulnerability-stats", 5);
  socket.emit("no-such-event", {});
  const refused = await socket.emitWithAck("join-import-room", { not: "a number" });
  assert.equal(refused.success, false);
  assert.equal(refused.code, "VALIDATION_ERROR");
  await statistics(socket);
});

runCases(() => new CaseContext(io, url, options));
