// A page that uses the official client the way HexTrackr's pages do: polling first, reconnection
// left to itself, a room joined before its import exists.  It tells what it sees, a line of JSON
// each, and does what it is told on standard input: "join <id>", "leave <id>", "ping", "quit".
"use strict";

const readline = require("node:readline");
const { io } = require(process.argv[2]);

const [, , , url, cookie] = process.argv;
const MAXIMUM_ATTEMPTS = 5;
const FIRST_DELAY_MS = 20;

let socket = null;
let attempts = 0;
let leaving = false;

function tell(what, detail) {
    process.stdout.write(JSON.stringify({ what, detail: detail === undefined ? null : detail }) + "\n");
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
        tell("open", socket.io.engine.transport.name);
        socket.io.engine.once("upgrade", () => tell("upgrade", socket.io.engine.transport.name));
    });
    socket.on("connect", () => {
        attempts = 0;
        tell("connect");
    });
    socket.on("connect_error", (error) => {
        tell("connect_error", error.message);
        retry();
    });
    socket.on("disconnect", (reason) => {
        tell("disconnect", reason);
        // Every other reason is a lost connection, which the page shows and leaves at that.
        if (reason === "io server disconnect") retry();
    });
    for (const event of ["progress-update", "progress-status", "progress-complete", "pong"]) {
        socket.on(event, (payload) => tell(event, payload));
    }
}

function retry() {
    if (leaving) return;
    if (attempts >= MAXIMUM_ATTEMPTS) {
        tell("gave up");
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
        leaving = true;
        socket.disconnect();
        process.stdin.destroy();
    }
});

connect();
