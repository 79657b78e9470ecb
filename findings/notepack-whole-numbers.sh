#!/usr/bin/env bash
# notepack.io: whole numbers of 2**64 and above, and below -2**63, are written as other numbers.
#
# JavaScript numbers are doubles, so 2**64 and 1e21 are ordinary values, and MessagePack has float 64 for
# them. notepack.io 3.0.1 writes each whole number as an integer of 64 bits, whether it fits or not:
# 2**64 becomes 0, 1e21 becomes 3875820019684212736, -1e21 becomes -3875820019684212736. No error is raised.
#
# Affected: every event with such a number between Socket.IO servers that use the Redis adapter
# (@socket.io/redis-adapter 8.3.0 with createAdapter; also socket.io-msgpack-parser 3): local clients receive
# the number, and clients of other servers another one. Send such numbers as strings.
# Source: notepack.io 3.0.1, lib/encode.js; MessagePack specification, "float format family".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" notepack.io@3.0.1 >/dev/null
cat > program.js <<'NODE'
const { encode, decode } = require("notepack.io");
console.log("expected: the decoded number equals the encoded one");
let differ = 0;
for (const value of [2 ** 53, 2 ** 63, 2 ** 64, 1e21, -(2 ** 63), -1e21, 1.5e300]) {
  const result = decode(encode(value));
  differ += result !== value;
  console.log(`${result === value ? "equal    " : "DIFFERENT"} ${value} -> ${result}`);
}
process.exit(differ ? 0 : 1);
NODE
node program.js
