// An application with the shim, as HexTrackr's Express application uses it. It prints its port.
// POST /import/<sessionId> reports progress; POST /logout/<sessionId> ends a session.
"use strict";
const http = require("node:http");
const path = require("node:path");
const { io, revoke } = require(path.join(__dirname, "..", "..", "examples", "express", "realtime.js"));

const application = http.createServer(async (request, response) => {
  const [, action, id] = request.url.split("/");
  if (action === "import") {
    const room = io.to(`progress-${id}`);
    room.emit("progress-update", { sessionId: id, progress: 40, message: "half", status: "initialized", metadata: {} });
    room.emit("progress-complete", { sessionId: id, progress: 100, message: "done", status: "completed", metadata: { rows: 3 } });
  } else if (action === "logout") {
    await revoke({ sessionId: id });
  }
  response.end("ok");
});
application.listen(0, "127.0.0.1", () => console.log(application.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
