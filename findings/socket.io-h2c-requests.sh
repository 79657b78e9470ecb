#!/usr/bin/env bash
# socket.io on Node: requests of Java's HttpClient to all paths of the HTTP server fail without an answer.
#
# java.net.http.HttpClient prefers HTTP/2 by default. To an http: URL it therefore sends an ordinary HTTP/1.1 request
# with `Upgrade: h2c`, which a server may ignore, as RFC 9110 describes (section 7.8). Node passes a request with any
# Upgrade header to the listeners of "upgrade" as soon as one exists, and does not call the listener of "request".
# Attaching Socket.IO adds such a listener. It waits for a second (destroyUpgradeTimeout) and closes connections to
# paths that are not its own, so that routes of an Express application on the same server never receive the request.
# A handshake over polling receives 400. The same requests succeed before Socket.IO is attached, over HTTPS and from
# other clients, so that the error, "header parser received no bytes", seems to be one of the Java program.
#
# Affected: producers and health checks in Java 11 or later, and `curl --http2`, inside a network without TLS. Behind
# nginx 1.22 that passes on $http_upgrade, as usual for WebSockets, they receive 502.
# Seen with socket.io 4.8.4, Node 20.20 and OpenJDK 17.
# Source: Node documentation, http, event "upgrade"; engine.io 6.6.13, server.js, `attach`; the Java documentation of
# HttpClient.Builder.version; socketio/socket.io#3564.
# Remedy: HttpClient.Version.HTTP_1_1; on Node 24.9 or later createServer({ shouldUpgradeCallback: (request) =>
# request.headers.upgrade.toLowerCase() === "websocket" }); in nginx a `map` that
# passes on no value but websocket.
# Needs: java, node, npm.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix "$work" socket.io@4.8.4 >/dev/null
# Two HTTP servers with the same listener; Socket.IO is attached to the second one. Prints their ports.
cat > server.js <<'NODE'
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const servers = [0, 1].map(() => createServer((request, response) => response.end("answer of the application")));
new Server(servers[1]);
servers[0].listen(0, "127.0.0.1", () =>
  servers[1].listen(0, "127.0.0.1", () => console.log(...servers.map((server) => server.address().port))));
setTimeout(() => process.exit(2), 90_000);
NODE
cat > Program.java <<'JAVA'
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

public class Program {
    static String request(HttpClient client, String url, boolean isPost) throws InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(20));
        if (isPost) request.POST(HttpRequest.BodyPublishers.ofString("{}"));
        try {
            return client.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode() + "";
        } catch (IOException error) {
            return error.getMessage();
        }
    }

    public static void main(String[] ports) throws InterruptedException {
        HttpClient defaults = HttpClient.newHttpClient();
        HttpClient http1 = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        String plain = "http://127.0.0.1:" + ports[0] + "/api";
        String attached = "http://127.0.0.1:" + ports[1] + "/api";
        String polling = "http://127.0.0.1:" + ports[1] + "/socket.io/?EIO=4&transport=polling";
        System.out.println("expected: 200 each time");
        boolean isAsDescribed = true;
        for (boolean isPost : new boolean[] {false, true}) {
            String method = isPost ? "POST" : "GET";
            String[] found = {
                request(defaults, plain, isPost), request(defaults, attached, isPost), request(http1, attached, isPost),
            };
            System.out.println("default client, plain server, " + method + ": " + found[0]);
            System.out.println("default client, server with Socket.IO, " + method + ": " + found[1]);
            System.out.println("client with HTTP/1.1, server with Socket.IO, " + method + ": " + found[2]);
            isAsDescribed &= found[0].equals("200") && found[2].equals("200") && found[1].contains("received no bytes");
        }
        String handshake = request(defaults, polling, false);
        System.out.println("default client, handshake over polling, GET: " + handshake);
        System.out.println("client with HTTP/1.1, handshake over polling, GET: " + request(http1, polling, false));
        System.exit(isAsDescribed && handshake.equals("400") ? 0 : 1);
    }
}
JAVA
node --version
java --version 2>&1 | head -1
node server.js > ports &
server=$!
until [ -s ports ]; do kill -0 "$server"; sleep 0.1; done
java Program.java $(cat ports)
