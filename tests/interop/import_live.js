"use strict";
// node import_live.js URL TRANSPORTS FILES TOKENS, the last two as JSON:
// {sample, another, tiny, header, foreign} are paths of CSV files, {user, other, admin} are tokens.
const { readFileSync } = require("node:fs");
const { io } = require("socket.io-client");
const { Table, assert, check, next, play, until } = require("./harness");

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

/** Collect the payloads of events by their names. */
const collect = (socket) => {
  const heard = {};
  socket.onAny((name, payload) => (heard[name] ??= []).push(payload));
  return heard;
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

const rises = (numbers) => numbers.every((n, i) => i === 0 || n >= numbers[i - 1]);

check("a client without a good token is refused with a reason", async (t) => {
  for (const auth of [undefined, {}, { token: "" }, { token: "bad" }, { token: tokens.user + "x" }, { token: [1] }]) {
    const socket = t.open("/", { auth });
    const [error] = await next(socket, "connect_error");
    assert.equal(error.data.code, "UNAUTHORIZED", JSON.stringify(auth));
    assert.ok(error.message);
    assert.equal(socket.connected, false);
  }
});

check("a token in the header of the handshake is as good", async (t) => {
  const socket = await t.connect("/", {
    auth: undefined,
    extraHeaders: { authorization: `Bearer ${tokens.user}` },
  });
  assert.equal((await statistics(socket)).totals.findings, 0);
});

check("an import that comes with the event is started and finished", async (t) => {
  const socket = await t.connect();
  const finished = next(socket, "import-finished");
  const answer = await inline(socket, files.tiny);
  assert.equal(answer.success, true);
  assert.equal(answer.status, "queued");
  const [result] = await finished;
  assert.equal(result.importId, answer.importId);
  assert.equal(result.status, "completed");
  assert.equal(result.summary.rows, 3);
  return result;
});

check("an import over HTTP is watched from its start to its end", async (t) => {
  const socket = await t.connect();
  const heard = collect(socket);
  // It waits behind the import of somebody else, so that all of its progress is seen.
  const foreign = await upload(files.another, tokens.other);
  const { importId } = await upload(files.sample, tokens.user);
  const finished = next(socket, "import-finished");
  const joined = await socket.emitWithAck("join-import-room", importId);
  assert.equal(joined.success, true);
  assert.equal(joined.status.importId, importId);
  const [result] = await finished;

  const progress = [joined.status, ...heard["import-progress"]];
  assert.ok(progress.length >= 3, `${progress.length} states seen`);
  for (const field of ["percentage", "overall", "processed", "seq"]) {
    const values = progress.map((each) => each[field]);
    assert.ok(values.every(Number.isInteger), `${field}: ${values}`);
    assert.ok(rises(values), `${field}: ${values}`);
  }
  for (const { percentage, progress: nested } of heard["import-progress"]) {
    assert.ok(percentage >= 0 && percentage <= 100);
    assert.equal(nested.percentage, percentage);
  }
  assert.deepEqual(heard["import-started"].map((each) => each.importId), [importId]);
  assert.deepEqual(heard["import-completed"], [result]);
  assert.deepEqual(heard["import-finished"], [result]);
  assert.equal(heard["import-failed"], undefined);
  for (const payloads of Object.values(heard)) {
    for (const payload of payloads) assert.notEqual(payload.importId, foreign.importId);
  }
  assert.equal(result.totalProcessed, result.summary.rows);
  return result;
});

check("the statistics come through an ack and know of the last import", async (t) => {
  const socket = await t.connect();
  const data = await statistics(socket);
  assert.equal(data.lastImport.filename, "scan.csv");
  return data;
});

/** Upload a file that cannot be imported: what its user is told, and that nothing has changed. */
const failOf = async (t, file) => {
  const socket = await t.connect();
  const before = await statistics(socket);
  const heard = collect(socket);
  const failed = next(socket, "import-failed");
  const { importId } = await upload(file, tokens.user);
  const [failure] = await failed;
  assert.equal(failure.importId, importId);
  assert.equal(failure.status, "failed");
  assert.equal(failure.code, "VALIDATION_ERROR");
  assert.equal(heard["import-finished"], undefined);
  const after = await statistics(socket);
  assert.deepEqual({ ...after, generatedAt: 0 }, { ...before, generatedAt: 0 });
  return failure;
};

check("a file with nothing but a foreign header fails with the columns that it misses", async (t) => {
  const failure = await failOf(t, files.foreign);
  assert.deepEqual(failure.fields.map((each) => each.path), ["host", "vulnerability"]);
  for (const { message } of failure.fields) assert.match(message, /one of these columns is needed/);
});

check("a file with nothing but the right header fails", async (t) => {
  assert.match((await failOf(t, files.header)).message, /no rows/);
});

check("one who has left the room of an import hears no more of it", async (t) => {
  // An administrator: whoever started it hears of coarse steps in any case.
  const socket = await t.connect("/", { auth: { token: tokens.admin } });
  const heard = collect(socket);
  await upload(files.another, tokens.other);
  const finished = next(await t.connect(), "import-finished");
  const { importId } = await upload(files.tiny, tokens.user);
  assert.equal((await socket.emitWithAck("join-import-room", importId)).success, true);
  assert.deepEqual(await socket.emitWithAck("leave-import-room", importId), { success: true });
  await finished;
  await statistics(socket);
  assert.equal(heard["import-progress"], undefined);
  assert.equal(heard["import-completed"], undefined);
});

check("the import of somebody else can be watched by admins alone", async (t) => {
  const admin = await t.connect("/", { auth: { token: tokens.admin } });
  const other = await t.connect("/", { auth: { token: tokens.other } });
  const user = await t.connect();
  const finished = next(user, "import-finished");
  const { importId } = await upload(files.tiny, tokens.user);
  assert.equal((await other.emitWithAck("join-import-room", importId)).code, "NOT_FOUND");
  assert.equal((await admin.emitWithAck("join-import-room", importId)).success, true);
  await finished;
});

check("a broken packet closes its client alone", async (t) => {
  const going = await t.connect();
  const broken = await t.connect();
  await until(() => broken.io.engine.transport.name === options.transports.at(-1));
  const left = next(broken, "disconnect");
  broken.io.engine.write("2[broken");
  assert.match((await left)[0], /^transport (close|error)$/);
  assert.equal(broken.connected, false);
  assert.equal(going.connected, true);
  await statistics(going);
});

check("bad arguments and missing acks disturb nobody", async (t) => {
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

play(() => new Table(io, url, options));
