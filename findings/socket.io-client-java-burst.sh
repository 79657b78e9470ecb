#!/usr/bin/env bash
# socket.io-client of Java: over WebSocket, more than 16 MiB of waiting events close the connection.
#
# The client hands each event to OkHttp at once, whose WebSocket keeps at most 16 MiB of outgoing messages. One more
# message is refused: `send` returns false, and OkHttp closes the connection with code 1001. engine.io-client ignores
# the result, so that the program sees the reason "transport close", as after a loss of the network, and the waiting
# events are gone. The size of the single events does not matter: a program that divides a file of 36 MB into events
# of 900 KB, each below the limit of the server, never gets it through a connection that is slower than its loop.
# The official client in JavaScript sends the same events.
#
# Affected: io.socket:socket.io-client 2.1.2 (engine.io-client 2.1.0, OkHttp 3.12.12), also on Android, with
# socket.io 4.8.4.
# Source: engine.io-client 2.1.0, io.socket.engineio.client.transports.WebSocket, write; OkHttp, RealWebSocket, send;
# socketio/socket.io-client-java#515 has the effect for one large event, without the reason.
# Remedy: emit the next event when the ack of the former one has arrived.
# Needs: java, javac, mvn, node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 socket.io-client@4.8.4 >/dev/null
dependency() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
cat > pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>burst</groupId>
  <artifactId>burst</artifactId>
  <version>0</version>
  <dependencies>
    $(dependency io.socket socket.io-client 2.1.2)
    $(dependency io.socket engine.io-client 2.1.0)
    $(dependency com.squareup.okhttp3 okhttp 3.12.12)
    $(dependency com.squareup.okio okio 1.15.0)
    $(dependency org.json json 20090211)
  </dependencies>
</project>
POM
mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib
cat > server.js <<'NODE'
const { Server } = require("socket.io");

const io = new Server(0, { pingTimeout: 60_000 });
io.on("connection", (socket) => {
  let received = 0;
  socket.on("part", () => received++);
  socket.on("end", (ack) => ack(received));
});
console.log(io.httpServer.address().port);
setTimeout(() => process.exit(2), 110_000);
NODE
cat > client.js <<'NODE'
const { io: connect } = require("socket.io-client");

const [url, events] = process.argv.slice(2);
const client = connect(url, { transports: ["websocket"], reconnection: false });
const part = "x".repeat(900_000);
client.on("connect", () => {
  for (let number = 0; number < Number(events); number++) client.emit("part", part);
  client.emit("end", (received) => finish(`${received} events received`));
});
client.on("disconnect", (reason) => finish(`disconnected: ${reason}`));
function finish(text) {
  console.log(text);
  process.exit();
}
NODE
cat > Burst.java <<'JAVA'
import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

public class Burst {
    public static void main(String[] args) throws Exception {
        IO.Options options =
            IO.Options.builder().setTransports(new String[] {"websocket"}).setReconnection(false).build();
        Socket client = IO.socket(args[0], options);
        CompletableFuture<Void> connected = new CompletableFuture<>();
        CompletableFuture<String> result = new CompletableFuture<>();
        client.on(Socket.EVENT_CONNECT, values -> connected.complete(null));
        client.on(Socket.EVENT_DISCONNECT, values -> result.complete("disconnected: " + values[0]));
        client.connect();
        connected.get(30, TimeUnit.SECONDS);
        char[] part = new char[900_000];
        Arrays.fill(part, 'x');
        String text = new String(part);
        for (int number = 0; number < Integer.parseInt(args[1]); number++) client.emit("part", text);
        client.emit("end", (Ack) values -> result.complete(values[0] + " events received"));
        System.out.println(result.get(60, TimeUnit.SECONDS));
        System.exit(0);
    }
}
JAVA
javac -cp 'lib/*' Burst.java
node server.js > port &
server=$!
until [ -s port ]; do kill -0 "$server"; sleep 0.1; done
url=http://127.0.0.1:$(cat port)
echo "expected: all events are received"
status=0
check() { # name, number of events, expected result, command
  found=$("${@:4}" "$url" "$2")
  echo "$1, $2 events of 900 KB: $found"
  [ "$found" = "$3" ] || status=1
}
check JavaScript 100 "100 events received" node client.js
check Java 10 "10 events received" java -cp 'lib/*:.' Burst
check Java 100 "disconnected: transport close" java -cp 'lib/*:.' Burst
exit $status
