"use strict";
// node socket_clients.js URL CLIENT TRANSPORTS PARSER
// CLIENT is an npm package, TRANSPORTS are separated by commas, PARSER is json or msgpack.
const { Table, ask, assert, check, checkV4, connected, next, play, sleep, until } = require("./harness");

const [url, client, transports, parser] = process.argv.slice(2);
const { io } = require(client);
const version = Number(require(`${client}/package.json`).version.split(".")[0]);
const options = { transports: transports.split(",") };
if (parser === "msgpack") options.parser = require("socket.io-msgpack-parser");

const transportOf = (socket) => socket.io.engine.transport.name;
const upgraded = (socket) => until(() => transportOf(socket) === options.transports.at(-1));
const refusal = async (socket) => (await next(socket, "connect_error"))[0];

// -- connecting

check("both sides know a socket by the same id", async (t) => {
  const socket = await t.connect();
  const [who] = await ask(socket, "whoami");
  assert.equal(who.id, socket.id);
  assert.equal(who.namespace, "/");
  assert.deepEqual(who.rooms, [socket.id]);
});

check("the connection ends up on the transport that was asked for", async (t) => {
  const socket = t.open();
  await next(socket.io, "open");
  assert.equal(transportOf(socket), options.transports[0]);
  await connected(socket);
  await upgraded(socket);
  assert.deepEqual(await ask(socket, "ack", 1), [1]);
  await sleep(50);
  assert.equal(transportOf(socket), options.transports.at(-1));
});

check("an object given as auth arrives as it was sent", async (t) => {
  const auth = { token: "t\u00f6k\u{1f511}n", nested: { list: [1, null, true] } };
  const socket = await t.connect("/", { auth });
  assert.deepEqual(await ask(socket, "auth"), [auth]);
});

check("a function given as auth is asked at each connect", async (t) => {
  let calls = 0;
  const socket = await t.connect("/", { auth: (done) => done({ call: ++calls }) });
  assert.deepEqual(await ask(socket, "auth"), [{ call: 1 }]);
  socket.disconnect();
  await sleep(50); // opened again at once, the client 3.1 takes the end of the old connection for the new one's
  socket.connect();
  await connected(socket);
  assert.deepEqual(await ask(socket, "auth"), [{ call: 2 }]);
});

check("without auth the server sees an empty object", async (t) => {
  assert.deepEqual(await ask(await t.connect(), "auth"), [{}]);
});

check("the query and the headers of the handshake arrive", async (t) => {
  const query = { word: "gr\u00fc\u00df & gott=1" };
  const socket = await t.connect("/", { query, extraHeaders: { "x-custom": "one" } });
  const [handshake] = await ask(socket, "handshake");
  assert.equal(handshake.query.word, query.word);
  assert.equal(handshake.query.EIO, "4");
  assert.equal(handshake.header, "one");
  assert.equal(handshake.address, "127.0.0.1");
});

check("a connection lives through several heartbeats", async (t) => {
  const socket = await t.connect();
  let pings = 0;
  socket.io.engine.on("packet", (packet) => (pings += packet.type === "ping"));
  await until(() => pings >= 3);
  assert.deepEqual(await ask(socket, "ack", "alive"), ["alive"]);
});

// -- namespaces

check("namespaces share a connection and keep their sockets apart", async (t) => {
  const main = await t.connect();
  const board = t.beside(main, "/static");
  await connected(board);
  assert.notEqual(board.id, main.id);
  const [who] = await ask(board, "whoami");
  assert.equal(who.namespace, "/static");
  assert.equal(who.id, board.id);
  let strays = 0;
  main.on("echo", () => strays++);
  board.emit("echo", 1);
  assert.deepEqual(await next(board, "echo"), [1]);
  assert.equal(strays, 0);
});

check("a client may join another namespace without joining the main one", async (t) => {
  const socket = await t.connect("/static");
  assert.deepEqual(await ask(socket, "ack", "x"), ["x"]);
});

check("a namespace that matches a pattern is made for its first client", async (t) => {
  const socket = await t.connect("/dynamic-101");
  const [who] = await ask(socket, "whoami");
  assert.equal(who.namespace, "/dynamic-101");
});

check("a namespace may be granted by a function that sees the auth", async (t) => {
  const socket = await t.connect("/granted-by-auth", { auth: { wants: "/granted-by-auth" } });
  assert.deepEqual(await ask(socket, "ack", 1), [1]);
  const refused = t.open("/granted-by-auth-2", { auth: { wants: "/another" } });
  assert.equal((await refusal(refused)).message, "Invalid namespace");
});

check("an unknown namespace is refused, and the connection goes on", async (t) => {
  const main = await t.connect();
  const unknown = t.beside(main, "/dynamic-x");
  assert.equal((await refusal(unknown)).message, "Invalid namespace");
  assert.equal(unknown.connected, false);
  assert.deepEqual(await ask(main, "ack", 1), [1]);
});

check("a namespace that was left can be joined again, as somebody new", async (t) => {
  const main = await t.connect();
  const board = t.beside(main, "/static");
  await connected(board);
  const former = board.id;
  board.disconnect();
  assert.deepEqual(await ask(main, "ack", 1), [1]);
  board.connect();
  await connected(board);
  assert.notEqual(board.id, former);
  assert.deepEqual(await ask(board, "ack", 2), [2]);
});

// -- refusals

check("a middleware refuses with a message and data", async (t) => {
  const error = await refusal(t.open("/private"));
  assert.ok(error instanceof Error);
  assert.equal(error.message, "not you");
  assert.deepEqual(error.data, { code: "E_TOKEN", attempts: [1, 2], hint: null });
});

check("a client that was refused may try again with another auth", async (t) => {
  const socket = t.open("/private", { auth: { token: "wrong" } });
  await refusal(socket);
  await sleep(20);
  assert.equal(socket.connected, false);
  socket.auth = { token: "right" };
  socket.connect();
  await connected(socket);
  assert.deepEqual(await ask(socket, "name"), ["the one with right"]);
});

check("a middleware that breaks tells the client nothing of it", async (t) => {
  const error = await refusal(t.open("/private", { auth: { token: "broken" } }));
  assert.equal(error.message, "internal error");
  assert.equal(error.data, undefined);
});

// -- events and acks

check("every value that JSON has comes back the same", async (t) => {
  const socket = await t.connect();
  // notepack cannot write integers beyond 64 bits
  const values = [
    parser === "json" ? 1e21 : 1.5e-300,
    "", "text", 0, -1, 1.5, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, 1e-7, true, false, null,
    [], {}, [[[]]], { a: { "b c": [1, { d: null }] } }, "{\"not\": \"parsed\"}", [1, [2, "3"]],
  ];
  socket.emit("echo", ...values);
  assert.deepEqual(await next(socket, "echo"), values);
});

check("an event without arguments is one", async (t) => {
  const socket = await t.connect();
  socket.emit("echo");
  assert.deepEqual(await next(socket, "echo"), []);
});

check("text of every script survives both directions", async (t) => {
  const socket = await t.connect();
  const texts = [
    "utf \u00b5\u00b5\u00b5", "\u65e5\u672c\u8a9e", "\u05e9\u05dc\u05d5\u05dd", "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
    "\u2028\u2029\ufeff\u0000\u0001\u001e\u007f", "a\"b\\c/d\n\r\t", "\u{10ffff}\ufffd", "\u00e9 e\u0301",
  ];
  socket.emit("echo", ...texts, Object.fromEntries(texts.map((text) => [text, text])));
  const answer = await next(socket, "echo");
  assert.deepEqual(answer.slice(0, -1), texts);
  assert.deepEqual(Object.keys(answer.at(-1)).sort(), [...texts].sort());
  for (const text of texts) {
    const named = t.beside(socket, "/static");
    await connected(named);
    assert.deepEqual(await ask(named, "ack", text), [text]);
  }
});

check("an event may have any name that is not reserved", async (t) => {
  const socket = await t.connect();
  for (const name of ["\u00fc ,[\"{", "error", "connection", "1"]) {
    socket.emit("emit-named", name, 7);
    assert.deepEqual(await next(socket, name), [7]);
  }
});

check("the server acks with any number of arguments", async (t) => {
  const socket = await t.connect();
  assert.deepEqual(await ask(socket, "ack"), []);
  assert.deepEqual(await ask(socket, "ack", null), [null]);
  assert.deepEqual(await ask(socket, "ack", 1, "two", [3], { four: 4 }), [1, "two", [3], { four: 4 }]);
});

check("the client acks what the server asks", async (t) => {
  const socket = await t.connect();
  socket.once("question", (a, b, answer) => answer({ sum: a + b }, "and more"));
  assert.deepEqual(await ask(socket, "ask-me", 2, 3), [{ sum: 5 }]);
});

check("many acks that cross each other find their askers", async (t) => {
  const socket = await t.connect();
  socket.on("question", (n, answer) => setTimeout(() => answer(n * 2), n % 7));
  const numbers = Array.from({ length: 60 }, (_, n) => n);
  const answers = await Promise.all(numbers.map((n) => ask(socket, "ask-me", n)));
  assert.deepEqual(answers.flat(), numbers.map((n) => n * 2));
});

check("a question that the client does not answer times out on the server", async (t) => {
  const socket = await t.connect();
  assert.deepEqual(await ask(socket, "ask-me", "silence"), ["AckTimeoutError"]);
});

check("a question to a client that leaves fails at once", async (t) => {
  const witness = await t.connect();
  const socket = await t.connect();
  const asked = next(socket, "question");
  socket.emit("ask-me-forever");
  await asked;
  const { id } = socket;
  socket.disconnect();
  await until(async () => (await ask(witness, "failure-of", id))[0] === "DisconnectedError");
});

check("a handler that fails acks with its code, or with nothing of its own", async (t) => {
  const socket = await t.connect();
  const [refused] = await ask(socket, "fail", "AckError");
  assert.deepEqual(refused, { success: false, error: "no room left", code: "FULL", left: 0 });
  const [broken] = await ask(socket, "fail", "ValueError");
  assert.deepEqual(broken, { success: false, error: "internal error", code: "HANDLER_ERROR" });
});

checkV4("emitWithAck resolves with the answer", async (t) => {
  const socket = await t.connect();
  assert.deepEqual(await socket.emitWithAck("ack", { a: 1 }, 2), { a: 1 });
  assert.equal(await socket.timeout(5000).emitWithAck("ack", "in time"), "in time");
});

checkV4("an answer that does not come in time is an error of the client", async (t) => {
  const socket = await t.connect();
  await assert.rejects(socket.timeout(30).emitWithAck("never"), /timed out/);
  assert.equal(await socket.emitWithAck("ack", "still there"), "still there");
});

checkV4("a client with retries is acked in order", async (t) => {
  const socket = await t.connect("/", { retries: 2, ackTimeout: 2000 });
  const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => ask(socket, "ack", n)));
  assert.deepEqual(answers, [1, 2, 3, 4, 5].map((n) => [null, n]));
});

check("catch-all listeners hear of every event", async (t) => {
  const socket = await t.connect();
  const heard = [];
  socket.onAny((...event) => heard.push(event));
  socket.emit("echo", "a");
  socket.send("b");
  await next(socket, "message");
  assert.deepEqual(heard, [["echo", "a"], ["message", "b"]]);
});

// -- binary

check("binary comes back as it was sent, nested and in order", async (t) => {
  const socket = await t.connect();
  const sent = [
    Buffer.from([0, 1, 2, 255]), { deep: [{ x: Buffer.from("one") }, "text", Buffer.from("two")] }, null,
    Buffer.alloc(0), Buffer.alloc(70_000, 7),
  ];
  socket.emit("echo", ...sent);
  assert.deepEqual(await next(socket, "echo"), sent);
});

check("typed arrays and array buffers arrive as their bytes", async (t) => {
  const socket = await t.connect();
  const bytes = Uint8Array.of(9, 8, 7, 6);
  assert.deepEqual(await ask(socket, "hex", bytes, bytes.buffer), [["09080706", "09080706"]]);
  if (parser === "msgpack") return; // notepack writes all of a buffer, whatever the view of it
  assert.deepEqual(await ask(socket, "hex", new Uint8Array(bytes.buffer, 1, 2)), [["0807"]]);
});

check("acks carry binary in both directions", async (t) => {
  const socket = await t.connect();
  const sent = { part: Buffer.from("binary"), rest: [1, Buffer.from([128])] };
  assert.deepEqual(await ask(socket, "ack", sent, Buffer.from("x")), [sent, Buffer.from("x")]);
  socket.once("question", (what, answer) => answer({ got: what, more: Buffer.from("more") }));
  assert.deepEqual(await ask(socket, "ask-me", Buffer.from("q")), [
    { got: Buffer.from("q"), more: Buffer.from("more") },
  ]);
});

check("events with and without binary keep their order", async (t) => {
  const socket = await t.connect();
  const sent = Array.from({ length: 60 }, (_, n) => (n % 3 ? n : Buffer.from([n])));
  const got = [];
  socket.on("echo", (value) => got.push(value));
  for (const value of sent) socket.emit("echo", value);
  await until(() => got.length === sent.length);
  assert.deepEqual(got, sent);
});

// -- volatile

check("a volatile event reaches a client that is idle", async (t) => {
  const socket = await t.connect();
  await upgraded(socket);
  await sleep(50);
  socket.emit("volatile-later", "now");
  assert.deepEqual(await next(socket, "maybe"), ["now"]);
  await sleep(50);
  socket.volatile.emit("echo", "back");
  assert.deepEqual(await next(socket, "echo"), ["back"]);
});

check("volatile events may be lost, and what follows them is not", async (t) => {
  const socket = await t.connect();
  const maybe = [];
  const surely = [];
  socket.on("maybe", (n, binary) => {
    assert.deepEqual(binary, Buffer.from([n, n]));
    maybe.push(n);
  });
  socket.on("surely", (n) => surely.push(n));
  assert.deepEqual(await ask(socket, "volatile-burst", 100), ["done"]);
  await until(() => surely.length === 100);
  assert.deepEqual(surely, Array.from({ length: 100 }, (_, n) => n));
  assert.ok(maybe.length < 100, `${maybe.length} arrived`);
  assert.deepEqual(maybe, [...maybe].sort((a, b) => a - b));
});

// -- rooms

/** Three clients in a namespace of their own, and what they hear. */
const three = async (t, namespace) => {
  const sockets = await Promise.all([0, 1, 2].map(() => t.connect(namespace)));
  const heard = [[], [], []];
  sockets.forEach((socket, n) => socket.on("said", (what) => heard[n].push(what)));
  // What comes after the answer to the last one has been heard by all.
  const settled = async () => {
    for (const socket of sockets) socket.emit("tell", "everybody", "end");
    await until(() => heard.every((each) => each.filter((what) => what === "end").length === 3));
    return heard.map((each) => each.filter((what) => what !== "end"));
  };
  return { sockets, settled };
};

check("a broadcast reaches everybody, or everybody but its sender", async (t) => {
  const { sockets, settled } = await three(t, "/dynamic-1");
  await ask(sockets[0], "tell", "everybody", "to all");
  await ask(sockets[0], "tell", "others", "to others");
  assert.deepEqual(await settled(), [["to all"], ["to all", "to others"], ["to all", "to others"]]);
});

check("rooms are joined, told and left", async (t) => {
  const { sockets, settled } = await three(t, "/dynamic-2");
  const [a, b, c] = sockets;
  await ask(a, "join", "red");
  await ask(b, "join", "red", "blue");
  await ask(c, "join", "blue");
  await ask(a, "tell", ["red"], "red");
  await ask(a, "tell", ["red", "blue"], "each once");
  await ask(a, "tell", ["green"], "nobody");
  await ask(b, "leave", "red");
  await ask(a, "tell", ["red"], "red again");
  await ask(c, "tell", [b.id], "b alone");
  assert.deepEqual(await settled(), [
    ["red", "each once", "red again"],
    ["red", "each once", "b alone"],
    ["each once"],
  ]);
});

check("a broadcast leaves out the rooms that it excepts", async (t) => {
  const { sockets, settled } = await three(t, "/dynamic-3");
  const [a, b, c] = sockets;
  await ask(b, "join", "red", "blue");
  await ask(c, "join", "red");
  await ask(a, "tell", ["red"], "red, not blue", ["blue"]);
  await ask(a, "tell", "everybody", "not red", ["red"]);
  assert.deepEqual(await settled(), [["not red"], [], ["red, not blue"]]);
});

check("a broadcast carries binary to all", async (t) => {
  const { sockets, settled } = await three(t, "/dynamic-4");
  const what = { part: Buffer.from("to all") };
  await ask(sockets[0], "tell", "everybody", what);
  assert.deepEqual(await settled(), [[what], [what], [what]]);
});

check("a broadcast gathers the acks, and tells who did not answer", async (t) => {
  const { sockets } = await three(t, "/dynamic-5");
  sockets[0].on("question", (n, answer) => answer(n + 1));
  sockets[1].on("question", (n, answer) => answer(n + 2));
  const [answers] = await ask(sockets[2], "ask-everybody", 10, 1);
  assert.deepEqual(answers.responses.sort(), [11, 12]);
  assert.deepEqual(answers.missing, [sockets[2].id]);
});

// -- the end

check("a client that disconnects knows why, and so does the server", async (t) => {
  const witness = await t.connect();
  const socket = await t.connect();
  await upgraded(socket);
  const { id } = socket;
  const left = next(socket, "disconnect");
  socket.disconnect();
  assert.equal((await left)[0], "io client disconnect");
  await until(async () => (await ask(witness, "reason-of", id))[0] === "client namespace disconnect");
});

check("a client that the server disconnects knows why, and so does the server", async (t) => {
  const witness = await t.connect();
  const socket = await t.connect("/", { reconnection: true, reconnectionDelay: 1 });
  const { id } = socket;
  const last = Promise.all([next(socket, "echo"), next(socket, "disconnect")]);
  socket.emit("leave-me", "last words");
  const [[words], [reason]] = await last;
  assert.equal(words, "last words");
  assert.equal(reason, "io server disconnect");
  assert.deepEqual(await ask(witness, "reason-of", id), ["server namespace disconnect"]);
  await sleep(50);
  assert.equal(socket.connected, false);
});

check("leaving one namespace leaves the others alone", async (t) => {
  const main = await t.connect();
  const board = t.beside(main, "/static");
  await connected(board);
  board.emit("leave-me", "bye");
  assert.equal((await next(board, "disconnect"))[0], "io server disconnect");
  assert.deepEqual(await ask(main, "ack", 1), [1]);
});

check("a connection that the server closes ends all of its namespaces", async (t) => {
  const main = await t.connect();
  const board = t.beside(main, "/static");
  await connected(board);
  await upgraded(main);
  const ends = Promise.all([next(main, "disconnect"), next(board, "disconnect")]);
  main.emit("close-me");
  assert.deepEqual((await ends).map(([reason]) => reason), ["io server disconnect", "io server disconnect"]);
});

check("a client whose connection is cut by the server comes back by itself", async (t) => {
  const socket = await t.connect("/", { reconnection: true, reconnectionDelay: 1, reconnectionDelayMax: 5 });
  await upgraded(socket);
  const { id } = socket;
  const left = next(socket, "disconnect");
  const back = next(socket, "connect");
  socket.emit("cut-me");
  assert.match((await left)[0], /^transport (close|error)$/);
  await back;
  assert.notEqual(socket.id, id);
  assert.ok(!socket.recovered);
  assert.deepEqual(await ask(socket, "ack", "back"), ["back"]);
  assert.match((await ask(socket, "reason-of", id))[0], /^(forced|transport) (close|error)$/);
});

check("a client that loses its connection comes back with what it wanted to say", async (t) => {
  const socket = await t.connect("/", { reconnection: true, reconnectionDelay: 1, reconnectionDelayMax: 5 });
  await upgraded(socket);
  const { id } = socket;
  const left = next(socket, "disconnect");
  socket.io.engine.close();
  assert.equal((await left)[0], "forced close");
  const answers = Promise.all([1, 2, 3].map((n) => ask(socket, "ack", n)));
  assert.deepEqual(await answers, [[1], [2], [3]]);
  assert.notEqual(socket.id, id);
});

check("a broken packet closes its client alone", async (t) => {
  const other = await t.connect();
  const socket = await t.connect();
  await upgraded(socket);
  const left = next(socket, "disconnect");
  socket.io.engine.write("2[broken");
  assert.match((await left)[0], /^transport (close|error)$/);
  assert.deepEqual(await ask(other, "ack", 1), [1]);
});

check("a message that is too large closes its client alone", async (t) => {
  const other = await t.connect();
  const socket = await t.connect();
  await upgraded(socket);
  const left = next(socket, "disconnect");
  socket.emit("echo", "x".repeat(1_100_000));
  assert.match((await left)[0], /^transport (close|error)$/);
  assert.deepEqual(await ask(other, "ack", 1), [1]);
});

// -- much

check("large texts and binaries pass in both directions", async (t) => {
  const socket = await t.connect();
  const text = "\u00fc".repeat(300_000);
  assert.deepEqual(await ask(socket, "ack", text), [text]);
  const binary = Buffer.alloc(700_000, "binary");
  assert.deepEqual(await ask(socket, "ack", binary), [binary]);
  const [large] = await ask(socket, "large", 3_000_000);
  assert.equal(large.length, 3_000_000);
  assert.ok(large.startsWith("0123456789012"));
});

checkV4("what is too much for one request is sent in several", async (t) => {
  const socket = await t.connect();
  const texts = Array.from({ length: 12 }, (_, n) => String(n).repeat(100_000));
  const answers = await Promise.all(texts.map((text) => ask(socket, "ack", text)));
  assert.deepEqual(answers.flat(), texts);
});

check("hundreds of events keep their order in both directions across the upgrade", async (t) => {
  const socket = t.open();
  const echoed = [];
  const counted = [];
  socket.on("echo", (n) => echoed.push(n));
  socket.on("count", (n) => counted.push(n));
  socket.emit("count", 500);
  for (let n = 0; n < 200; n++) socket.emit("echo", n); // before there is a connection
  await connected(socket);
  for (let n = 200; n < 500; n++) {
    socket.emit("echo", n);
    if (n % 10 === 0) await sleep(1); // while it is upgraded
  }
  await upgraded(socket);
  for (let n = 500; n < 600; n++) socket.emit("echo", n);
  await until(() => echoed.length >= 600 && counted.length >= 500);
  assert.deepEqual(echoed, Array.from({ length: 600 }, (_, n) => n));
  assert.deepEqual(counted, Array.from({ length: 500 }, (_, n) => n));
});

play(() => new Table(io, url, options), version);
