#!/usr/bin/env bash
# @socket.io/postgres-adapter: clients receive broadcasts in another order than the server sends them.
#
# For each broadcast, the adapter sends one query through the pool of `pg`, without waiting for the former one. The
# pool has ten connections by default, and each query takes a free one, so that PostgreSQL commits the notifications
# in any order. A server delivers to its own clients when its query has returned: their order is lost as well, even
# if there is only one server. An event above 8,000 bytes or with binary data needs a row first; the receiver reads
# the row with another query, while later events pass it.
#
# Affected: @socket.io/postgres-adapter 0.5.0 with socket.io 4.8.4 and pg 8.23.1: progress that goes backwards, the
# chunks of a file, "created" behind "deleted". The page "Delivery guarantees" of Socket.IO promises the order.
# Source: postgres-adapter 0.5.0, util.js, `publish`, `publishWithAttachment` and the listener of "notification".
# Remedy: `new Pool({ max: 2 })`, one connection for LISTEN and one for all queries, keeps the order of events of
# one size; large and binary events are still overtaken. Or number the events.
# Needs: node, npm, and initdb and postgres of PostgreSQL.
set -euo pipefail
work=$(mktemp -d)
port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
trap 'kill "${postgres:-}" 2>/dev/null || true; wait "${postgres:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
as_user=()
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
  as_user=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups)
  chmod 711 "$work"
fi
mkdir "$work/cluster"
[ "$(id -u)" != 0 ] || chown nobody "$work/cluster"
(cd / && "${as_user[@]}" initdb --pgdata "$work/cluster/data" --username postgres --auth trust --encoding UTF8 \
  --locale C --no-sync >/dev/null)
(cd / && exec "${as_user[@]}" postgres -D "$work/cluster/data" -p "$port" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= -c fsync=off) >"$work/log" 2>&1 &
postgres=$!
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" \
  @socket.io/postgres-adapter@0.5.0 socket.io@4.8.4 socket.io-client@4.8.4 pg@8.23.1 >/dev/null
cat > program.js <<'NODE'
const { Pool } = require("pg");
const { Server } = require("socket.io");
const { io: connect } = require("socket.io-client");
const { createAdapter } = require("@socket.io/postgres-adapter");

const EVENTS = 200;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const makePool = (max) =>
  new Pool({ host: "127.0.0.1", port: Number(process.argv[2]), user: "postgres", database: "postgres", max });

async function createTable() {
  const pool = makePool(1);
  for (let attempt = 0; ; attempt++) {
    try {
      await pool.query("CREATE TABLE socket_io_attachments "
        + "(id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)");
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await pause(200); // PostgreSQL starts
    }
  }
}

// The events that arrive after a later one: of a client of the sending server, and of one of another server.
async function countLate(max, payloadOf) {
  const servers = [0, 1].map(() => new Server(0, { adapter: createAdapter(makePool(max)) }));
  await pause(500); // both servers listen
  const received = [[], []];
  const clients = servers.map((io, index) => {
    const url = `http://127.0.0.1:${io.httpServer.address().port}`;
    const client = connect(url, { transports: ["websocket"], forceNew: true });
    client.on("part", (number) => received[index].push(number));
    return client;
  });
  await Promise.all(clients.map((client) => new Promise((done) => client.on("connect", done))));
  for (let number = 0; number < EVENTS; number++) servers[0].emit("part", number, payloadOf(number));
  while (received.some((list) => list.length < EVENTS)) await pause(50);
  clients.forEach((client) => client.close());
  return received.map((list) => list.filter((number, index) => index && number < list[index - 1]).length);
}

async function main() {
  await createTable();
  console.log(`expected: 0 of ${EVENTS} events arrive after a later one`);
  const long = "x".repeat(9000);
  const cases = {
    "short events, default pool": [10, () => "short"],
    "short events, two connections": [2, () => "short"],
    "long and short events, two connections": [2, (number) => (number % 2 ? "short" : long)],
  };
  const found = {};
  for (const name in cases) {
    found[name] = await countLate(...cases[name]);
    console.log(`seen: ${name}: ${found[name][0]} on the same server, ${found[name][1]} on the other`);
  }
  const [defaults, two, mixed] = Object.values(found);
  const isAsDescribed = Math.min(...defaults) > 0 && Math.max(...two) === 0 && Math.min(...mixed) > 0;
  process.exit(isAsDescribed ? 0 : 1);
}
setTimeout(() => process.exit(2), 90_000);
main();
NODE
node program.js "$port"
