/** State of the connection: a badge in the header, and a banner while the connection is lost. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { connection, type ConnectionState } from "../live";
import { announce } from "./announcer";

const NAMES = { connecting: "Connecting", connected: "Live", lost: "Offline", refused: "Signed out" };

function details({ phase, transport, roundTrip, recovered }: ConnectionState): string {
  if (phase !== "connected") return "";
  const parts = [transport === "websocket" ? "WebSocket" : "polling"];
  if (roundTrip !== null) parts.push(`${roundTrip} ms`);
  if (recovered !== null) parts.push(recovered ? "recovered" : "reloaded");
  return parts.join(" · ");
}

export function ConnectionBadge() {
  const state = connection.value;
  const text = details(state);
  return (
    <span class={`connection connection-${state.phase}`} title={explanation(state)}>
      <span class="dot" aria-hidden="true" />
      <span class="visually-hidden">Connection: </span>
      <span>{NAMES[state.phase]}</span>
      {text && <span class="connection-details">{text}</span>}
    </span>
  );
}

function explanation({ phase, recovered }: ConnectionState): string {
  if (phase === "lost") return "The page returns by itself";
  if (phase !== "connected" || recovered === null) return "";
  return recovered
    ? "The connection was lost and restored; the server sent the missed events"
    : "The connection was lost and opened again; the page read all data again";
}

/** A banner below the header while events do not arrive. */
export function ConnectionBanner() {
  const { phase, reason, lostAt } = connection.value;
  const now = useSignal(Date.now());
  useEffect(() => {
    if (lostAt === null) return undefined;
    now.value = Date.now();
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, [lostAt]);
  useEffect(() => {
    if (phase === "lost") announce("The connection to the server is lost. The page returns by itself.");
    if (phase === "connected" && connection.value.recovered !== null) announce("Connected again");
  }, [phase]);
  if (phase !== "lost") return null;
  const seconds = lostAt === null ? 0 : Math.round((now.value - lostAt) / 1000);
  return (
    <div class="banner banner-warning" data-testid="connection-banner">
      <span>
        <strong>Connection lost{seconds >= 2 && ` ${seconds} s ago`}.</strong> {reason && `${reason}. `}
        The page shows the last known data and returns by itself.
      </span>
    </div>
  );
}
