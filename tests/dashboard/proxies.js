"use strict";
// Proxies in front of the hub: one that loses the network without a notice, and one below a path prefix.
const http = require("node:http");
const net = require("node:net");

const listen = (server) =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

/** Forward TCP connections; `stall` stops all bytes without closing a connection, until `resume`. */
class Network {
  constructor(port) {
    this.sockets = new Set();
    this.isStalled = false;
    this.server = net.createServer((client) => {
      const upstream = net.connect(port, "127.0.0.1");
      for (const [from, to] of [[client, upstream], [upstream, client]]) {
        this.sockets.add(from);
        if (this.isStalled) from.pause();
        from.on("data", (data) => to.write(data));
        from.on("end", () => to.end());
        from.on("error", () => to.destroy());
        from.on("close", () => this.sockets.delete(from));
      }
    });
  }

  async start() {
    return `http://127.0.0.1:${await listen(this.server)}`;
  }

  stall() {
    this.isStalled = true;
    for (const socket of this.sockets) socket.pause();
  }

  resume() {
    this.isStalled = false;
    for (const socket of this.sockets) socket.resume();
  }

  close() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** Serve the hub below a path, as a reverse proxy that removes the path does. */
class Prefix {
  constructor(port, prefix) {
    const target = (request) => ({
      port,
      host: "127.0.0.1",
      method: request.method,
      path: request.url.slice(prefix.length),
      headers: request.headers,
    });
    this.server = http.createServer((request, response) => {
      if (!request.url.startsWith(`${prefix}/`)) {
        response.writeHead(404).end("not below the prefix");
        return;
      }
      const forwarded = http.request(target(request), (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      forwarded.on("error", () => response.destroy());
      request.pipe(forwarded);
    });
    this.server.on("upgrade", (request, client, head) => {
      const forwarded = http.request(target(request)).end();
      forwarded.on("upgrade", (answer, upstream) => {
        const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
        client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
        upstream.write(head);
        upstream.pipe(client).pipe(upstream);
        for (const [one, other] of [[client, upstream], [upstream, client]]) one.on("error", () => other.destroy());
      });
      forwarded.on("error", () => client.destroy());
    });
    this.prefix = prefix;
  }

  async start() {
    return `http://127.0.0.1:${await listen(this.server)}${this.prefix}`;
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

module.exports = { Network, Prefix };
