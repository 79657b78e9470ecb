/** Measures round trips with the hub's event `ping`, which the hub answers with `pong`. */

import type { Channel } from "./channel";
import type { ConnectionState } from "./state";

const SECONDS = 10;

/** Measure until the returned function is called. */
export function measureRoundTrips(
  channel: Channel,
  update: (change: Partial<ConnectionState>) => void,
): () => void {
  let sentAt: number | null = null;
  const send = (): void => {
    if (sentAt !== null || document.visibilityState === "hidden") return;
    sentAt = performance.now();
    channel.send("ping");
  };
  const ends = channel.on("pong", () => {
    if (sentAt !== null) update({ roundTrip: Math.round(performance.now() - sentAt) });
    sentAt = null;
  });
  const timer = setInterval(send, SECONDS * 1000);
  send();
  return () => {
    clearInterval(timer);
    ends();
  };
}
