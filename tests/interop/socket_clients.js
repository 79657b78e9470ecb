"use strict";
// node socket_clients.js URL CLIENT TRANSPORTS PARSER
// CLIENT is an npm package, TRANSPORTS are separated by commas, PARSER is json or msgpack.
const {
  CaseContext,
  assert,
  check,
  checkOld,
  checkV3,
  checkV4,
  connected,
  emitWithAck,
  nextEvent,
  runCases,
  sleep,
  waitUntil,
} = require("./harness");

const [url, client, transports, parser] = process.argv.slice(2);
const library = require(client);
const io = library.io ?? library;
const version = Number(require(`${client}/package.json`).version.split(".")[0]);
const isOld = version < 3;
const options = { transports: transports.split(",") };
if (parser === "msgpack") options.parser = require(`socket.io-msgpack-parser${isOld ? "-2" : ""}`);

const transportOf = (socket) => socket.io.engine.transport.name;
const upgraded = (socket) => waitUntil(() => transportOf(socket) === options.transports.at(-1));
const idOf = async (socket) => (await emitWithAck(socket, "identity"))[0].id;
// Over polling, clients of version 1 encode text as UTF-8 twice.
const umlaut = version > 1 ? "\u00fc" : "u";
const refusal = async (socket) => (await nextEvent(socket, isOld ? "error" : "connect_error"))[0];

// -- connecting

check("client and server have the same socket ID", async (t) => {
  const socket = await t.connect();
  const [who] = await emitWithAck(socket, "identity");
  assert.equal(who.id, socket.id);
  assert.equal(who.namespace, "/");
  assert.deepEqual(who.rooms, [socket.id]);
});

check("the connection uses the requested transport", async (t) => {
  const socket = t.open();
  await nextEvent(socket.io, "open");
  assert.equal(transportOf(socket), options.transports[0]);
  await connected(socket);
  await upgraded(socket);
  assert.deepEqual(await emitWithAck(socket, "ack", 1), [1]);
  await sleep(50);
  assert.equal(transportOf(socket), options.transports.at(-1));
});

checkV3("the server receives an auth object unchanged", async (t) => {
  const auth = { token: "t\u00f6k\u{1f511}n", nested: { list: [1, null, true] } };
  const socket = await t.connect("/", { auth });
  assert.deepEqual(await emitWithAck(socket, "auth"), [auth]);
});

checkV3("an auth function is called for each connect", async (t) => {
  let calls = 0;
  const socket = await t.connect("/", { auth: (done) => done({ call: ++calls }) });
  assert.deepEqual(await emitWithAck(socket, "auth"), [{ call: 1 }]);
  // Client 3.1 assigns a late close of the old connection to the new one.
  const closed = nextEvent(socket.io.engine, "close");
  socket.disconnect();
  await closed;
  socket.connect();
  await connected(socket);
  assert.deepEqual(await emitWithAck(socket, "auth"), [{ call: 2 }]);
});

check("the server receives an empty object if the client sends no auth", async (t) => {
  assert.deepEqual(await emitWithAck(await t.connect(), "auth"), [{}]);
});

check("the server receives the query and the headers of the handshake", async (t) => {
  const query = { word: `gr${umlaut}n & gott=1` };
  const socket = await t.connect("/", { query, extraHeaders: { "x-custom": "one" } });
  const [handshake] = await emitWithAck(socket, "handshake");
  assert.equal(handshake.query.word, query.word);
  assert.equal(handshake.query.EIO, isOld ? "3" : "4");
  assert.equal(handshake.header, "one");
  assert.equal(handshake.address, "127.0.0.1");
});

check("a connection stays open over several heartbeats", async (t) => {
  const socket = await t.connect();
  let beats = 0;
  // The server sends the pings, and to older clients the pongs.
  socket.io.engine.on("packet", (packet) => (beats += packet.type === (isOld ? "pong" : "ping")));
  await waitUntil(() => beats >= 3);
  assert.deepEqual(await emitWithAck(socket, "ack", "alive"), ["alive"]);
});

// -- namespaces

check("namespaces share a connection and have separate sockets", async (t) => {
  const main = await t.connect();
  const board = t.openNamespace(main, "/static");
  await connected(board);
  const [who] = await emitWithAck(board, "identity");
  assert.equal(who.namespace, "/static");
  assert.notEqual(who.id, main.id);
  if (version > 1) assert.equal(who.id, board.id); // version 1 has one id for all namespaces
  let strays = 0;
  main.on("echo", () => strays++);
  board.emit("echo", 1);
  assert.deepEqual(await nextEvent(board, "echo"), [1]);
  assert.equal(strays, 0);
});

check("a client may connect to another namespace only", async (t) => {
  const socket = await t.connect("/static");
  assert.deepEqual(await emitWithAck(socket, "ack", "x"), ["x"]);
});

check("the first client creates a namespace that matches a pattern", async (t) => {
  const socket = await t.connect("/dynamic-101");
  const [who] = await emitWithAck(socket, "identity");
  assert.equal(who.namespace, "/dynamic-101");
});

checkV3("a function may accept a namespace by its auth", async (t) => {
  const socket = await t.connect("/granted-by-auth", { auth: { namespace: "/granted-by-auth" } });
  assert.deepEqual(await emitWithAck(socket, "ack", 1), [1]);
  const refused = t.open("/granted-by-auth-2", { auth: { namespace: "/another" } });
  assert.equal((await refusal(refused)).message, "Invalid namespace");
});

check("an unknown namespace is refused and the connection stays open", async (t) => {
  const main = await t.connect();
  const unknown = t.openNamespace(main, "/dynamic-x");
  const error = await refusal(unknown);
  // The parser of version 2 for MessagePack accepts only text.
  assert.equal(isOld && parser === "msgpack" ? error : error.message, "Invalid namespace");
  assert.equal(unknown.connected, false);
  assert.deepEqual(await emitWithAck(main, "ack", 1), [1]);
});

checkV3("a namespace has a new socket ID after a disconnect and a connect", async (t) => {
  const main = await t.connect();
  const board = t.openNamespace(main, "/static");
  await connected(board);
  const former = board.id;
  board.disconnect();
  assert.deepEqual(await emitWithAck(main, "ack", 1), [1]);
  board.connect();
  await connected(board);
  assert.notEqual(board.id, former);
  assert.deepEqual(await emitWithAck(board, "ack", 2), [2]);
});

checkOld("the query of a namespace is its auth data", async (t) => {
  const socket = t.open(`/static?token=t${encodeURIComponent(umlaut)}k%20n&x=1&x=2`);
  await connected(socket);
  assert.deepEqual(await emitWithAck(socket, "auth"), [{ token: `t${umlaut}k n`, x: "2" }]);
  const long = t.open(`/static?token=${"x".repeat(5000)}`);
  assert.equal((await emitWithAck(long, "auth"))[0].token.length, 5000);
});

checkOld("the main namespace has no auth data", async (t) => {
  assert.deepEqual(await emitWithAck(await t.connect("/?token=x"), "auth"), [{}]);
});

checkOld("a function may accept a namespace by its query", async (t) => {
  const socket = t.open("/granted?namespace=%2Fgranted");
  await connected(socket);
  assert.deepEqual(await emitWithAck(socket, "ack", 1), [1]);
});

checkOld("a client may leave a namespace and connect again", async (t) => {
  const main = await t.connect();
  const board = t.openNamespace(main, "/static");
  await connected(board);
  board.disconnect();
  assert.deepEqual(await emitWithAck(main, "ack", 1), [1]);
  board.connect();
  await connected(board);
  assert.deepEqual(await emitWithAck(board, "ack", 2), [2]);
});

// -- refusals

checkOld("a middleware refuses a client with data, or with its message", async (t) => {
  const data = { code: "E_TOKEN", attempts: [1, 2], hint: null };
  assert.deepEqual(await refusal(t.open("/private")), parser === "msgpack" ? "not allowed" : data);
  assert.equal(await refusal(t.open("/private?token=broken")), "internal error");
  const socket = t.open("/private?token=right");
  await connected(socket);
  assert.deepEqual(await emitWithAck(socket, "name"), ["user of right"]);
});

checkV3("a middleware refuses a client with a message and data", async (t) => {
  const error = await refusal(t.open("/private"));
  assert.ok(error instanceof Error);
  assert.equal(error.message, "not allowed");
  assert.deepEqual(error.data, { code: "E_TOKEN", attempts: [1, 2], hint: null });
});

checkV3("a refused client may connect again with another auth", async (t) => {
  const socket = t.open("/private", { auth: { token: "wrong" } });
  await refusal(socket);
  await sleep(20);
  assert.equal(socket.connected, false);
  socket.auth = { token: "right" };
  socket.connect();
  await connected(socket);
  assert.deepEqual(await emitWithAck(socket, "name"), ["user of right"]);
});

checkV3("an exception in a middleware is hidden from the client", async (t) => {
  const error = await refusal(t.open("/private", { auth: { token: "broken" } }));
  assert.equal(error.message, "internal error");
  assert.equal(error.data, undefined);
});

// -- events and acks

check("all JSON values are echoed unchanged", async (t) => {
  const socket = await t.connect();
  // notepack cannot encode integers beyond 64 bits.
  const values = [
    parser === "json" ? 1e21 : 1.5e-300,
    "", "text", 0, -1, 1.5, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 1e-7, true, false, null,
    [], {}, [[[]]], { a: { "b c": [1, { d: null }] } }, "{\"not\": \"parsed\"}", [1, [2, "3"]],
  ];
  socket.emit("echo", ...values);
  assert.deepEqual(await nextEvent(socket, "echo"), values);
});

check("an event may have no arguments", async (t) => {
  const socket = await t.connect();
  socket.emit("echo");
  assert.deepEqual(await nextEvent(socket, "echo"), []);
});

check("Unicode text arrives unchanged in both directions", async (t) => {
  const socket = await t.connect();
  // Version 1 encodes twice over polling only: request and answer must use the same transport.
  if (version === 1) await upgraded(socket);
  const texts = [
    "utf \u00b5\u00b5\u00b5", "\u65e5\u672c\u8a9e", "\u05e9\u05dc\u05d5\u05dd", "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
    "\u2028\u2029\ufeff\u0000\u0001\u001e\u007f", "a\"b\\c/d\n\r\t", "\u{10ffff}\ufffd", "\u00e9 e\u0301",
  ];
  socket.emit("echo", ...texts, Object.fromEntries(texts.map((text) => [text, text])));
  const answer = await nextEvent(socket, "echo");
  assert.deepEqual(answer.slice(0, -1), texts);
  assert.deepEqual(Object.keys(answer.at(-1)).sort(), [...texts].sort());
  for (const text of texts) {
    const named = t.openNamespace(socket, "/static");
    await connected(named);
    assert.deepEqual(await emitWithAck(named, "ack", text), [text]);
  }
});

check("an event may have any name that is not reserved", async (t) => {
  const socket = await t.connect();
  for (const name of [`${umlaut} ,[\"{`, "error", "connection", "1"]) {
    socket.emit("emit-named", name, 7);
    assert.deepEqual(await nextEvent(socket, name), [7]);
  }
});

check("a server ack may have any number of arguments", async (t) => {
  const socket = await t.connect();
  assert.deepEqual(await emitWithAck(socket, "ack"), []);
  assert.deepEqual(await emitWithAck(socket, "ack", null), [null]);
  assert.deepEqual(await emitWithAck(socket, "ack", 1, "two", [3], { four: 4 }), [1, "two", [3], { four: 4 }]);
});

check("the client acks an event of the server", async (t) => {
  const socket = await t.connect();
  socket.once("request", (a, b, answer) => answer({ sum: a + b }, "and more"));
  assert.deepEqual(await emitWithAck(socket, "request-ack", 2, 3), [{ sum: 5 }]);
});

check("concurrent acks are matched to their events", async (t) => {
  const socket = await t.connect();
  socket.on("request", (n, answer) => setTimeout(() => answer(n * 2), n % 7));
  const numbers = Array.from({ length: 60 }, (_, n) => n);
  const answers = await Promise.all(numbers.map((n) => emitWithAck(socket, "request-ack", n)));
  assert.deepEqual(answers.flat(), numbers.map((n) => n * 2));
});

check("an event without an ack times out on the server", async (t) => {
  const socket = await t.connect();
  assert.deepEqual(await emitWithAck(socket, "request-ack", "no answer"), ["AckTimeoutError"]);
});

check("a pending ack fails when its client disconnects", async (t) => {
  const observer = await t.connect();
  const socket = await t.connect();
  const requested = nextEvent(socket, "request");
  socket.emit("request-ack-without-timeout");
  await requested;
  const { id } = socket;
  socket.disconnect();
  await waitUntil(async () => (await emitWithAck(observer, "failure-of", id))[0] === "DisconnectedError");
});

check("a failed handler acks with its error code or a generic error", async (t) => {
  const socket = await t.connect();
  const [refused] = await emitWithAck(socket, "fail", "AckError");
  assert.deepEqual(refused, { success: false, error: "no room left", code: "FULL", free: 0 });
  const [broken] = await emitWithAck(socket, "fail", "ValueError");
  assert.deepEqual(broken, { success: false, error: "internal error", code: "HANDLER_ERROR" });
});

checkV4("emitWithAck resolves with the ack", async (t) => {
  const socket = await t.connect();
  assert.deepEqual(await socket.emitWithAck("ack", { a: 1 }, 2), { a: 1 });
  assert.equal(await socket.timeout(120_000).emitWithAck("ack", "in time"), "in time");
});

checkV4("a late ack is an error on the client", async (t) => {
  const socket = await t.connect();
  await assert.rejects(socket.timeout(30).emitWithAck("never"), /timed out/);
  assert.equal(await socket.emitWithAck("ack", "still there"), "still there");
});

checkV4("a client with retries receives its acks in order", async (t) => {
  const socket = await t.connect("/", { retries: 2, ackTimeout: 120_000 });
  const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => emitWithAck(socket, "ack", n)));
  assert.deepEqual(answers, [1, 2, 3, 4, 5].map((n) => [null, n]));
});

checkV3("catch-all listeners receive every event", async (t) => {
  const socket = await t.connect();
  const received = [];
  socket.onAny((...event) => received.push(event));
  socket.emit("echo", "a");
  socket.send("b");
  await nextEvent(socket, "message");
  assert.deepEqual(received, [["echo", "a"], ["message", "b"]]);
});

// -- binary

check("binary values are echoed unchanged and in order", async (t) => {
  const socket = await t.connect();
  const sent = [
    Buffer.from([0, 1, 2, 255]), { deep: [{ x: Buffer.from("one") }, "text", Buffer.from("two")] }, null,
    Buffer.alloc(0), Buffer.alloc(70_000, 7),
  ];
  socket.emit("echo", ...sent);
  assert.deepEqual(await nextEvent(socket, "echo"), sent);
});

check("typed arrays and array buffers arrive as bytes", async (t) => {
  const socket = await t.connect();
  const bytes = Uint8Array.of(9, 8, 7, 6);
  const sent = version > 1 ? bytes : Buffer.from(bytes);
  assert.deepEqual(await emitWithAck(socket, "hex", sent, bytes.buffer), [["09080706", "09080706"]]);
  // notepack encodes the whole buffer of a view. Clients of version 2 send a typed array as an object
  // unless the event contains another binary value.
  if (parser === "msgpack" || isOld) return;
  assert.deepEqual(await emitWithAck(socket, "hex", new Uint8Array(bytes.buffer, 1, 2)), [["0807"]]);
});

check("acks may contain binary in both directions", async (t) => {
  const socket = await t.connect();
  const sent = { part: Buffer.from("binary"), rest: [1, Buffer.from([128])] };
  assert.deepEqual(await emitWithAck(socket, "ack", sent, Buffer.from("x")), [sent, Buffer.from("x")]);
  socket.once("request", (value, answer) => answer({ got: value, more: Buffer.from("more") }));
  assert.deepEqual(await emitWithAck(socket, "request-ack", Buffer.from("q")), [
    { got: Buffer.from("q"), more: Buffer.from("more") },
  ]);
});

check("events with and without binary keep their order", async (t) => {
  const socket = await t.connect();
  const sent = Array.from({ length: 60 }, (_, n) => (n % 3 ? n : Buffer.from([n])));
  const received = [];
  socket.on("echo", (value) => received.push(value));
  for (const value of sent) socket.emit("echo", value);
  await waitUntil(() => received.length === sent.length);
  assert.deepEqual(received, sent);
});

// -- volatile

check("a volatile event reaches an idle client", async (t) => {
  const socket = await t.connect();
  await upgraded(socket);
  socket.emit("volatile-later", "now");
  assert.deepEqual(await nextEvent(socket, "volatile"), ["now"]);
  if (isOld) return; // these clients send no volatile events
  await waitUntil(() => socket.io.engine.transport.writable);
  socket.volatile.emit("echo", "back");
  assert.deepEqual(await nextEvent(socket, "echo"), ["back"]);
});

check("volatile events may be lost without affecting other events", async (t) => {
  const socket = await t.connect();
  const volatile = [];
  const reliable = [];
  socket.on("volatile", (n, binary) => {
    assert.deepEqual(binary, Buffer.from([n, n]));
    volatile.push(n);
  });
  socket.on("reliable", (n) => reliable.push(n));
  assert.deepEqual(await emitWithAck(socket, "volatile-burst", 100), ["done"]);
  await waitUntil(() => reliable.length === 100);
  assert.deepEqual(reliable, Array.from({ length: 100 }, (_, n) => n));
  assert.ok(volatile.length < 100, `${volatile.length} arrived`);
  assert.deepEqual(volatile, [...volatile].sort((a, b) => a - b));
});

// -- rooms

/** Connect three clients to a namespace; `settled` returns the notices of each client. */
const connectThree = async (t, namespace) => {
  const sockets = await Promise.all([0, 1, 2].map(() => t.connect(namespace)));
  const received = [[], [], []];
  sockets.forEach((socket, n) => socket.on("notice", (value) => received[n].push(value)));
  // Each client has received all earlier notices when it has received three `end` notices.
  const settled = async () => {
    for (const socket of sockets) socket.emit("broadcast", "all", "end");
    await waitUntil(() => received.every((each) => each.filter((value) => value === "end").length === 3));
    return received.map((each) => each.filter((value) => value !== "end"));
  };
  return { sockets, settled };
};

check("a broadcast reaches all clients or all other clients", async (t) => {
  const { sockets, settled } = await connectThree(t, "/dynamic-1");
  await emitWithAck(sockets[0], "broadcast", "all", "to all");
  await emitWithAck(sockets[0], "broadcast", "others", "to others");
  assert.deepEqual(await settled(), [["to all"], ["to all", "to others"], ["to all", "to others"]]);
});

check("a broadcast to rooms reaches each member once", async (t) => {
  const { sockets, settled } = await connectThree(t, "/dynamic-2");
  const [a, b, c] = sockets;
  await emitWithAck(a, "join", "red");
  await emitWithAck(b, "join", "red", "blue");
  await emitWithAck(c, "join", "blue");
  await emitWithAck(a, "broadcast", ["red"], "red");
  await emitWithAck(a, "broadcast", ["red", "blue"], "each once");
  await emitWithAck(a, "broadcast", ["green"], "no member");
  await emitWithAck(b, "leave", "red");
  await emitWithAck(a, "broadcast", ["red"], "red again");
  await emitWithAck(c, "broadcast", [await idOf(b)], "b alone");
  assert.deepEqual(await settled(), [
    ["red", "each once", "red again"],
    ["red", "each once", "b alone"],
    ["each once"],
  ]);
});

check("a broadcast excludes the rooms in except", async (t) => {
  const { sockets, settled } = await connectThree(t, "/dynamic-3");
  const [a, b, c] = sockets;
  await emitWithAck(b, "join", "red", "blue");
  await emitWithAck(c, "join", "red");
  await emitWithAck(a, "broadcast", ["red"], "red, not blue", ["blue"]);
  await emitWithAck(a, "broadcast", "all", "not red", ["red"]);
  assert.deepEqual(await settled(), [["not red"], [], ["red, not blue"]]);
});

check("a broadcast may contain binary", async (t) => {
  const { sockets, settled } = await connectThree(t, "/dynamic-4");
  const value = { part: Buffer.from("to all") };
  await emitWithAck(sockets[0], "broadcast", "all", value);
  assert.deepEqual(await settled(), [[value], [value], [value]]);
});

check("a broadcast collects acks and lists missing clients", async (t) => {
  const { sockets } = await connectThree(t, "/dynamic-5");
  sockets[0].on("request", (n, answer) => answer(n + 1));
  sockets[1].on("request", (n, answer) => answer(n + 2));
  const [answers] = await emitWithAck(sockets[2], "broadcast-with-ack", 10, 1);
  assert.deepEqual(answers.responses.sort(), [11, 12]);
  assert.deepEqual(answers.missing, [await idOf(sockets[2])]);
});

// -- disconnects

check("both sides report the reason when the client disconnects", async (t) => {
  const observer = await t.connect();
  const socket = await t.connect();
  await upgraded(socket);
  const { id } = socket;
  const disconnected = nextEvent(socket, "disconnect");
  socket.disconnect();
  assert.equal((await disconnected)[0], "io client disconnect");
  await waitUntil(async () => (await emitWithAck(observer, "reason-of", id))[0] === "client namespace disconnect");
});

check("both sides report the reason when the server disconnects the client", async (t) => {
  const observer = await t.connect();
  const socket = await t.connect("/", { reconnection: true, reconnectionDelay: 1 });
  const { id } = socket;
  const last = Promise.all([nextEvent(socket, "echo"), nextEvent(socket, "disconnect")]);
  socket.emit("disconnect-me", "last words");
  const [[words], [reason]] = await last;
  assert.equal(words, "last words");
  assert.equal(reason, "io server disconnect");
  assert.deepEqual(await emitWithAck(observer, "reason-of", id), ["server namespace disconnect"]);
  await sleep(50);
  assert.equal(socket.connected, false);
});

check("a disconnect affects only its namespace", async (t) => {
  const main = await t.connect();
  const board = t.openNamespace(main, "/static");
  await connected(board);
  board.emit("disconnect-me", "bye");
  assert.equal((await nextEvent(board, "disconnect"))[0], "io server disconnect");
  assert.deepEqual(await emitWithAck(main, "ack", 1), [1]);
});

check("all namespaces are disconnected when the server closes the connection", async (t) => {
  const main = await t.connect();
  const board = t.openNamespace(main, "/static");
  await connected(board);
  await upgraded(main);
  const ends = Promise.all([nextEvent(main, "disconnect"), nextEvent(board, "disconnect")]);
  main.emit("close-connection");
  assert.deepEqual((await ends).map(([reason]) => reason), ["io server disconnect", "io server disconnect"]);
});

check("a client reconnects after the server discards its connection", async (t) => {
  const socket = await t.connect("/", { reconnection: true, reconnectionDelay: 1, reconnectionDelayMax: 5 });
  await upgraded(socket);
  const { id } = socket;
  const disconnected = nextEvent(socket, "disconnect");
  const reconnected = nextEvent(socket, "connect");
  socket.emit("discard-connection");
  assert.match((await disconnected)[0], /^transport (close|error)$/);
  await reconnected;
  assert.notEqual(socket.id, id);
  assert.ok(!socket.recovered);
  assert.deepEqual(await emitWithAck(socket, "ack", "back"), ["back"]);
  assert.match((await emitWithAck(socket, "reason-of", id))[0], /^(forced|transport) (close|error)$/);
});

check("a client sends its buffered events after a reconnect", async (t) => {
  const socket = await t.connect("/", { reconnection: true, reconnectionDelay: 1, reconnectionDelayMax: 5 });
  await upgraded(socket);
  const { id } = socket;
  const disconnected = nextEvent(socket, "disconnect");
  socket.io.engine.close();
  assert.equal((await disconnected)[0], "forced close");
  const answers = Promise.all([1, 2, 3].map((n) => emitWithAck(socket, "ack", n)));
  assert.deepEqual(await answers, [[1], [2], [3]]);
  assert.notEqual(socket.id, id);
});

check("an invalid packet disconnects only its client", async (t) => {
  const other = await t.connect();
  const socket = await t.connect();
  await upgraded(socket);
  const disconnected = nextEvent(socket, "disconnect");
  socket.io.engine.write("2[broken");
  assert.match((await disconnected)[0], /^transport (close|error)$/);
  assert.deepEqual(await emitWithAck(other, "ack", 1), [1]);
});

check("a message above the limit disconnects only its client", async (t) => {
  const other = await t.connect();
  const socket = await t.connect();
  await upgraded(socket);
  const disconnected = nextEvent(socket, "disconnect");
  socket.emit("echo", "x".repeat(1_100_000));
  assert.match((await disconnected)[0], /^transport (close|error)$/);
  assert.deepEqual(await emitWithAck(other, "ack", 1), [1]);
});

// -- large messages and many events

check("large texts and binaries arrive in both directions", async (t) => {
  const socket = await t.connect();
  const text = umlaut.repeat(300_000);
  assert.deepEqual(await emitWithAck(socket, "ack", text), [text]);
  const binary = Buffer.alloc(700_000, "binary");
  assert.deepEqual(await emitWithAck(socket, "ack", binary), [binary]);
  const [large] = await emitWithAck(socket, "large", 3_000_000);
  assert.equal(large.length, 3_000_000);
  assert.ok(large.startsWith("0123456789012"));
});

checkV4("packets above the size of one request are sent in several requests", async (t) => {
  const socket = await t.connect();
  const texts = Array.from({ length: 12 }, (_, n) => String(n).repeat(100_000));
  const answers = await Promise.all(texts.map((text) => emitWithAck(socket, "ack", text)));
  assert.deepEqual(answers.flat(), texts);
});

check("hundreds of events keep their order in both directions across the upgrade", async (t) => {
  const socket = t.open();
  const echoed = [];
  const counted = [];
  socket.on("echo", (n) => echoed.push(n));
  socket.on("count", (n) => counted.push(n));
  socket.emit("count", 500);
  for (let n = 0; n < 200; n++) socket.emit("echo", n); // before the connection is open
  await connected(socket);
  for (let n = 200; n < 500; n++) {
    socket.emit("echo", n);
    if (n % 10 === 0) await sleep(1); // during the upgrade
  }
  await upgraded(socket);
  for (let n = 500; n < 600; n++) socket.emit("echo", n);
  await waitUntil(() => echoed.length >= 600 && counted.length >= 500);
  assert.deepEqual(echoed, Array.from({ length: 600 }, (_, n) => n));
  assert.deepEqual(counted, Array.from({ length: 500 }, (_, n) => n));
});

runCases(() => new CaseContext(io, url, options), version);
