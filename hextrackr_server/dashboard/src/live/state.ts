/** State of the connection, as the page shows it. */

import { computed, signal } from "@preact/signals";

export type Phase =
  | "connecting" // the first connection of this login
  | "connected"
  | "lost" // the client returns by itself
  | "refused"; // the user must sign in

export interface ConnectionState {
  phase: Phase;
  transport: "polling" | "websocket" | null;
  /** Milliseconds of the last measured round trip. */
  roundTrip: number | null;
  /** Whether the last return restored the missed events; null before the first return. */
  recovered: boolean | null;
  /** When the connection was lost, and for how long the last one was; milliseconds. */
  lostAt: number | null;
  lastGap: number | null;
  /** Why the server refuses or ended the connection. */
  reason: string | null;
}

export const INITIAL: ConnectionState = {
  phase: "connecting",
  transport: null,
  roundTrip: null,
  recovered: null,
  lostAt: null,
  lastGap: null,
  reason: null,
};

export const connection = signal<ConnectionState>(INITIAL);
/** The phase alone, which changes less often than the rest. */
export const phase = computed(() => connection.value.phase);

/** Increases at each connection whose missed events are unknown: views read their data again. */
export const generation = signal(0);

export function update(change: Partial<ConnectionState>): void {
  connection.value = { ...connection.value, ...change };
}
