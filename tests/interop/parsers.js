"use strict";
// node parsers.js ENGINE_PACKAGE
// Reads a JSON line [kind, [input, ...]] with inputs in base64; prints a JSON line with the results:
// {"packets": [...], "refused": whether the parser refuses the rest}.
const { createInterface } = require("node:readline");
const path = require("node:path");
const engine = require("engine.io-parser");
const socket = require("socket.io-parser");
const msgpack = require("socket.io-msgpack-parser");

const engineV3 = require(path.join(process.argv[2], "build", "parser-v3"));
const DIGITS = { open: "0", close: "1", ping: "2", pong: "3", message: "4", upgrade: "5", noop: "6" };
const WEBTRANSPORT_LIMIT = 300;

// Values that JSON has no form for become objects with one key that begins with "$".
const plain = (value) => {
  if (value === undefined) return { $undefined: true };
  if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
  if (value instanceof Date) return { $date: plain(value.getTime()) };
  if (value instanceof ArrayBuffer) return { $base64: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { $base64: bytes.toString("base64") };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value;
};

const enginePacket = ({ type, data }) => [DIGITS[type] ?? "unknown", data === undefined ? "" : plain(data)];

const readEngine = (decode) => {
  const packets = [];
  let refused = false;
  decode((packet) => {
    refused ||= packet.type === "error";
    if (!refused) packets.push(enginePacket(packet));
  });
  return { packets, refused };
};

const readSocket = (decoder, messages) => {
  const packets = [];
  decoder.on("decoded", ({ type, nsp, data, id }) => {
    packets.push([type, nsp, plain(data), id === undefined ? null : plain(id)]);
  });
  try {
    for (const message of messages) decoder.add(message);
  } catch {
    return { packets, refused: true };
  }
  return { packets, refused: false };
};

// A message of a connection begins with "b" if it is binary.
const splitMessages = (input) => {
  const messages = [];
  for (let start = 0, end; start <= input.length; start = end + 1) {
    end = input.indexOf(0x1e, start);
    if (end < 0) end = input.length;
    const message = input.subarray(start, end);
    messages.push(message[0] === 0x62 ? message.subarray(1) : message.toString("utf8"));
  }
  return messages;
};

const readStream = async (input) => {
  const stream = engine.createPacketDecoderStream(WEBTRANSPORT_LIMIT, "nodebuffer");
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  writer.write(new Uint8Array(input)).catch(() => {});
  writer.close().catch(() => {});
  const packets = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { packets, refused: false };
    if (value.type === "error") return { packets, refused: true };
    packets.push(enginePacket(value));
  }
};

const KINDS = {
  payload_v4: (input) => readEngine((emit) => engine.decodePayload(input.toString("utf8")).forEach(emit)),
  payload_v3: (input) =>
    readEngine((emit) => engineV3.decodePayload(input.toString("utf8"), null, (packet) => emit(packet))),
  payload_v3_binary: (input) =>
    readEngine((emit) => engineV3.decodePayload(input, null, (packet) => emit(packet))),
  packets_json: (input) => readSocket(new socket.Decoder(), splitMessages(input)),
  packets_msgpack: (input) => readSocket(new msgpack.Decoder(), [input]),
  webtransport_frames: readStream,
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const [kind, inputs] = JSON.parse(line);
  const results = [];
  for (const input of inputs) results.push(await KINDS[kind](Buffer.from(input, "base64")));
  process.stdout.write(`${JSON.stringify(results)}\n`);
});
