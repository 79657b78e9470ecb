/**
 * The connection to the hub: sign-in, return after a loss, and refusals.
 *
 * The manager of socket.io-client returns after a loss of the transport. This module returns after
 * the server ended the connection (a shutdown, an expired login) and after temporary refusals, and
 * at once when the browser is online or the page is visible again.
 */

import { effect } from "@preact/signals";
import type { Manager, Socket } from "socket.io-client";
import { address, authorization, token } from "../api";
import { Channel } from "./channel";
import { Backoff } from "./backoff";
import { measureRoundTrips } from "./round_trip";
import { connection, generation, INITIAL, phase, update } from "./state";

const UNREACHABLE = "The server is not reachable";
/** Refusals that end without the user: too many connections, an unavailable session store. */
const TEMPORARY = new Set(["RATE_LIMITED", "UNAVAILABLE", "MAINTENANCE"]);

export const hub = new Channel("/");
/** Events of administrators; `openAdmin` connects it. */
export const admin = new Channel("/admin");

let manager: Manager | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
let hasBeenConnected = false;
let isAdminWanted = false;
const backoff = new Backoff(500, 10_000);

/** Connect with the present login, instead of an earlier connection. */
export async function connect(): Promise<void> {
  disconnect();
  connection.value = INITIAL;
  let client: typeof import("socket.io-client");
  try {
    client = await import("socket.io-client");
  } catch {
    lost(UNREACHABLE);
    retry = setTimeout(() => void connect(), backoff.next());
    return;
  }
  const { origin, pathname } = new URL(address("socket.io/"));
  manager = new client.Manager(origin, {
    path: pathname,
    autoConnect: false,
    reconnectionDelay: 500,
    reconnectionDelayMax: 4000,
    timeout: 15_000,
    // Polling also sends the token, for servers that authenticate the handshake.
    extraHeaders: authorization(),
  });
  manager.on("open", watchTransport);
  follow(open(manager, hub));
  if (isAdminWanted) open(manager, admin);
}

function open(by: Manager, channel: Channel): Socket {
  const socket = by.socket(channel.namespace, { auth: credentials });
  channel.attach(socket);
  return socket.connect();
}

export function disconnect(): void {
  clearTimeout(retry);
  hub.detach();
  admin.detach();
  manager = null;
}

/** Connect the namespace of administrators, over the same connection. */
export function openAdmin(): Channel {
  isAdminWanted = true;
  if (admin.socket === null && manager !== null) open(manager, admin);
  return admin;
}

function credentials(send: (auth: object) => void): void {
  send(token.value === null ? {} : { token: token.value });
}

function follow(socket: Socket): void {
  socket.on("connect", () => {
    backoff.reset();
    const { lostAt } = connection.value;
    const recovered = hasBeenConnected ? socket.recovered : null;
    // Without recovery, events were missed: all views read their data again.
    if (hasBeenConnected && !socket.recovered) generation.value += 1;
    hasBeenConnected = true;
    update({
      phase: "connected",
      recovered,
      lastGap: lostAt === null ? null : Date.now() - lostAt,
      lostAt: null,
      reason: null,
    });
  });
  socket.on("disconnect", (reason) => {
    lost(null);
    // The client of Socket.IO does not return by itself after the server disconnected it.
    if (reason === "io server disconnect") returnLater();
  });
  socket.on("connect_error", (error) => {
    const { code } = ((error as { data?: { code?: string } }).data ?? {}) as { code?: string };
    const status = (error as { description?: unknown }).description;
    const refused = code !== undefined || status === 401;
    if (!refused) {
      // The manager tries again.
      lost(UNREACHABLE);
    } else if (code !== undefined && TEMPORARY.has(code)) {
      lost(error.message);
      returnLater();
    } else {
      const reason = code === undefined ? "Authentication required" : error.message;
      // The manager would repeat the handshake of a server that answers 401.
      disconnect();
      update({ phase: "refused", reason, transport: null, roundTrip: null });
    }
  });
}

function lost(reason: string | null): void {
  const lostAt = connection.value.lostAt ?? Date.now();
  update({ phase: "lost", lostAt, reason, roundTrip: null, transport: null });
}

function returnLater(): void {
  clearTimeout(retry);
  retry = setTimeout(() => {
    hub.socket?.connect();
    admin.socket?.connect();
  }, backoff.next());
}

/** Return at once instead of waiting for the next attempt. */
function hurry(): void {
  if (phase.value !== "lost" || hub.socket === null) return;
  clearTimeout(retry);
  for (const { socket } of [hub, admin]) {
    // Ends the wait of the manager; the socket keeps the offset of its last event.
    socket?.disconnect();
    socket?.connect();
  }
}

function watchTransport(): void {
  const engine = manager?.engine;
  if (engine === undefined) return;
  const show = (): void => update({ transport: engine.transport.name as "polling" | "websocket" });
  engine.on("upgrade", show);
  show();
}

export function watchBrowser(): void {
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") hurry();
  });
  effect(() => {
    if (phase.value === "connected") return measureRoundTrips(hub, update);
    return undefined;
  });
}
