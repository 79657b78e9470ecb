// Replays HexTrackr's ProgressTracker through examples/express/realtime.js; argument: its path.
"use strict";
const { io, revoke } = require(process.argv[2]);

io.engine.use(() => {});
io.on("connection", () => {});
const room = io.to("progress-import-1-abc");
const send = (event, progress, more) =>
  room.emit(event, { sessionId: "import-1-abc", progress, message: `at ${progress}`, status: "initialized", timestamp: Date.now(), metadata: { operation: "csv-import", filename: "x.csv" }, ...more });

for (let progress = 0; progress < 100; progress += 1) send("progress-update", progress);
send("progress-complete", 100, { status: "completed", metadata: { rows: 5 }, duration: 12 });
io.to("progress-import-2-abc").emit("progress-error", { sessionId: "import-2-abc", progress: 3, message: "broken", error: { message: "broken" } });
// The test writes a line when it has received the events: the logout must not overtake them.
process.stdin.once("data", () => revoke({ sessionId: "sid-7" }));
