import type { ServerToClientEvents } from "../types/events";
import { hub } from "./connection";

export { Channel, type Listener } from "./channel";
export { admin, connect, disconnect, hub, openAdmin, watchBrowser } from "./connection";
export { isEnded, useImports, type Imports } from "./imports";
export { list, type List, type ListOptions, type Rows } from "./lists";
export { createQuery, useQuery, type Query, type QueryOptions } from "./query";
export { retryDelay } from "./retry";
export { connection, generation, phase, type ConnectionState, type Phase } from "./state";

/** Listen to an event of the hub; return the function that ends it. */
export const on = <Event extends keyof ServerToClientEvents>(
  event: Event,
  listener: ServerToClientEvents[Event],
): (() => void) => hub.on(event, listener);

/** Emit an event to the hub and return its answer; a refusal is a RequestError. */
export const request = <T = Record<string, unknown>>(
  event: string,
  ...args: unknown[]
): Promise<T> => hub.request<T>(event, ...args);
