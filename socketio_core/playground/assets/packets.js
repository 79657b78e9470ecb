// Text of packets and values. Every function returns plain text.

// Types of Socket.IO packets by number (Socket.IO protocol, revision 5).
const TYPES = ["CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"];
const SHOWN_BYTES = 24;

/** Return the name and the text of an Engine.IO packet of the client: {type, data}. */
export function describePacket({ type, data }) {
  if (isBinary(data)) return { name: "attachment", text: formatBinary(data) };
  if (type === "message" && typeof data === "string") {
    return { name: TYPES[data[0]] ?? "message", text: data };
  }
  return { name: type, text: data === undefined ? "" : String(data) };
}

/** Return values as JSON, separated by commas; binary data appears as its size and first bytes. */
export function formatValues(values) {
  return values.map((value) => formatValue(value)).join(", ");
}

function formatValue(value) {
  if (value === undefined) return "undefined";
  // JSON.stringify calls toJSON before the replacer, and no binary type has it.
  return JSON.stringify(value, (_, each) => (isBinary(each) ? formatBinary(each) : each));
}

function isBinary(value) {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof Blob;
}

function formatBinary(value) {
  if (value instanceof Blob) return `<${value.size} bytes>`;
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  const shown = Array.from(bytes.subarray(0, SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, "0"));
  const rest = bytes.length > SHOWN_BYTES ? " ..." : "";
  return `<${bytes.length} bytes: ${shown.join(" ")}${rest}>`;
}
