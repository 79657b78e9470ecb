// A page that uses the official client like HexTrackr's pages: polling first, reconnection by the
// page itself, and a room that is joined before its import exists. The page prints each event as a
// line of JSON. Commands on standard input: "join <id>", "leave <id>", "ping", "quit".
"use strict";

const readline = require("node:readline");
const { io } = require(process.argv[2]);

const [, , , url, cookie] = process.argv;
const MAXIMUM_ATTEMPTS = 5;
const FIRST_DELAY_MS = 20;

let socket = null;
let attempts = 0;
let quitting = false;

function report(event, detail) {
    process.stdout.write(JSON.stringify({ event, detail: detail === undefined ? null : detail }) + "\n");
}

function connect() {
    socket = io(url, {
        transports: ["polling", "websocket"],
        upgrade: true,
        autoConnect: true,
        reconnection: false,
        forceNew: true,
        extraHeaders: { cookie },
    });
    socket.io.once("open", () => {
        report("open", socket.io.engine.transport.name);
        socket.io.engine.once("upgrade", () => report("upgrade", socket.io.engine.transport.name));
    });
    socket.on("connect", () => {
        attempts = 0;
        report("connect");
    });
    socket.on("connect_error", (error) => {
        report("connect_error", error.message);
        retry();
    });
    socket.on("disconnect", (reason) => {
        report("disconnect", reason);
        // For every other reason, the page shows the lost connection and does not reconnect.
        if (reason === "io server disconnect") retry();
    });
    for (const event of ["progress-update", "progress-status", "progress-complete", "pong"]) {
        socket.on(event, (payload) => report(event, payload));
    }
}

function retry() {
    if (quitting) return;
    if (attempts >= MAXIMUM_ATTEMPTS) {
        report("gave up");
        return;
    }
    setTimeout(connect, FIRST_DELAY_MS * 2 ** attempts);
    attempts += 1;
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const [command, id] = line.split(" ");
    if (command === "join") socket.emit("join-progress", id);
    else if (command === "leave") socket.emit("leave-progress", id);
    else if (command === "ping") socket.emit("ping");
    else if (command === "quit") {
        quitting = true;
        socket.disconnect();
        process.stdin.destroy();
    }
});

connect();
