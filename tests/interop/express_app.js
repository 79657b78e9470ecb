// An Express application with express-session, a login through passport, and the shim of
// examples/express: HexTrackr's backend without its pages. It prints its port.
//
// Arguments: "sqlite" and a file (better-sqlite3-session-store), or "postgres" and a URL
// (connect-pg-simple). With PostgreSQL, passport stores the user as an object instead of an ID.
//
// POST /login {username, password}, GET /me, GET /token, POST /logout
// POST /imports/<sessionId>/<step>     start, continue, complete, fail: reports of an import
"use strict";
const path = require("node:path");
const express = require("express");
const jwt = require("jsonwebtoken");
const session = require("express-session");
const passport = require("passport");
const { Strategy } = require("passport-local");
const { io, revoke } = require(path.join(__dirname, "..", "..", "examples", "express", "realtime.js"));

const [kind, location] = process.argv.slice(2);
const USERS = [
  { id: 7, username: "alice", password: "secret", role: "user" },
  { id: 1, username: "root", password: "secret", role: "admin" },
];

/** The client that better-sqlite3-session-store expects, over a SQLite without native code. */
function sqliteClient(file) {
  const { Database } = require("node-sqlite3-wasm");
  const database = new Database(file);
  const values = ([value]) =>
    value === undefined || typeof value !== "object"
      ? value
      : Object.fromEntries(Object.entries(value).map(([name, each]) => [`@${name}`, each]));
  const statement = (sql) => ({
    run: (...given) => database.run(sql, values(given)),
    get: (...given) => database.get(sql, values(given)),
    all: (...given) => database.all(sql, values(given)),
  });
  return { exec: (sql) => database.exec(sql), prepare: statement };
}

function createStore() {
  if (kind === "sqlite") {
    const SqliteStore = require("better-sqlite3-session-store")(session);
    return new SqliteStore({ client: sqliteClient(location) });
  }
  const PgStore = require("connect-pg-simple")(session);
  return new PgStore({ conString: location, createTableIfMissing: true, pruneSessionInterval: false });
}

passport.use(
  new Strategy((username, password, done) =>
    done(null, USERS.find((user) => user.username === username && user.password === password) || false),
  ),
);
passport.serializeUser(({ id, username, role }, done) => done(null, kind === "sqlite" ? id : { id, username, role }));
passport.deserializeUser((stored, done) => done(null, USERS.find(({ id }) => id === (stored.id || stored)) || false));

const app = express();
app.use(express.json());
app.use(
  session({
    name: "hextrackr.sid",
    secret: process.env.SESSION_SECRET,
    store: createStore(),
    resave: false,
    saveUninitialized: false,
    cookie: { sameSite: "lax", maxAge: 3_600_000 },
  }),
);
app.use(passport.initialize(), passport.session());

/** Stores a session without a user, as HexTrackr's CSRF route does. */
app.get("/csrf", (request, response) => {
  request.session.csrfToken = "x";
  response.json({ csrfToken: "x" });
});
app.post("/login", passport.authenticate("local"), (request, response) => response.json({ id: request.user.id }));
app.get("/me", (request, response) => response.json({ id: request.user ? request.user.id : null }));
/** Returns a token as jsonwebtoken signs it: `userId` is a number, and there is no `exp`. */
app.get("/token", (request, response) => {
  const { id, username } = request.user;
  response.json({ token: jwt.sign({ userId: id, username, role: "manager" }, process.env.JWT_SECRET) });
});
app.post("/logout", (request, response, next) => {
  const sessionId = request.sessionID; // passport replaces the session in logout()
  request.logout((error) => {
    if (error) return next(error);
    request.session.destroy(() => {
      revoke({ sessionId });
      response.clearCookie("hextrackr.sid").json({ success: true });
    });
  });
});

const STEPS = {
  start: ["progress-update", { progress: 40, message: "Processing batch 1/3", status: "initialized", metadata: { totalRows: 300 } }],
  continue: ["progress-update", { progress: 95, message: "Finalizing", status: "initialized", metadata: { processedRows: 290 } }],
  complete: [
    "progress-complete",
    {
      progress: 100,
      message: "Import completed successfully",
      status: "completed",
      metadata: { importSummary: { cveDiscovery: { totalNewCves: 1, newCves: [{ cve: "CVE-2024-1000", severity: "High" }] } } },
    },
  ],
  fail: ["progress-error", { progress: 40, message: "Import failed", status: "error", error: { error: {} }, metadata: {} }],
};
app.post("/imports/:id/:step", (request, response) => {
  if (!request.user) return response.sendStatus(401);
  const [event, payload] = STEPS[request.params.step];
  io.to(`progress-${request.params.id}`).emit(event, { sessionId: request.params.id, ...payload });
  response.json({ success: true });
});

const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
