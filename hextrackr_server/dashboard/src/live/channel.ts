/**
 * One namespace of the hub: requests with acknowledgements, and listeners that outlive connections.
 * `connection` decides when its socket exists and connects.
 */

import type { Socket } from "socket.io-client";
import { isRefusal, RequestError } from "../api";

export type Listener = (...args: any[]) => void;

const SECONDS = 20;

export class Channel {
  #socket: Socket | null = null;
  readonly #listeners = new Map<string, Set<Listener>>();
  #waiting: ((socket: Socket) => void)[] = [];

  constructor(readonly namespace: string) {}

  get socket(): Socket | null {
    return this.#socket;
  }

  /** Use a socket from now on; the listeners move to it. */
  attach(socket: Socket): void {
    this.detach();
    this.#socket = socket;
    socket.onAny((event: string, ...args: unknown[]) => {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...args);
    });
    for (const resolve of this.#waiting.splice(0)) resolve(socket);
  }

  detach(): void {
    this.#socket?.offAny();
    this.#socket?.off();
    this.#socket?.disconnect();
    this.#socket = null;
  }

  /** Listen to an event; return the function that ends it. */
  on(event: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * Emit an event and return its answer, `{success: true, ...}`; a refusal is a RequestError.
   * A request without a connection waits for one.
   */
  async request<T = Record<string, unknown>>(event: string, ...args: unknown[]): Promise<T> {
    const socket = this.#socket ?? (await this.#attached());
    let answer: unknown;
    try {
      answer = await socket.timeout(SECONDS * 1000).emitWithAck(event, ...args);
    } catch {
      throw socket.connected
        ? new RequestError("TIMEOUT", `The server did not answer within ${SECONDS} seconds`)
        : new RequestError("OFFLINE", "There is no connection to the server");
    }
    if (isRefusal(answer)) throw RequestError.from(answer);
    return answer as T;
  }

  /** Emit an event without an answer; it is dropped without a connection. */
  send(event: string, ...args: unknown[]): void {
    this.#socket?.volatile.emit(event, ...args);
  }

  #attached(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const offline = new RequestError("OFFLINE", "There is no connection to the server");
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((each) => each !== done);
        reject(offline);
      }, SECONDS * 1000);
      const done = (socket: Socket): void => {
        clearTimeout(timer);
        resolve(socket);
      };
      this.#waiting.push(done);
    });
  }
}
