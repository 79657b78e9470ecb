// One connection of the official client, and reports of its packets, events and states.
import { describePacket, formatValues } from "./packets.js";

/**
 * `report(kind, direction, name, text)` receives the entries of the log. `changed(state)` receives
 * {name, detail, transport, upgrade, id, recovered} after each change.
 */
export class Client {
  #Manager;
  #report;
  #changed;
  #manager = null;
  #socket = null;
  #engine = null;
  #state = { name: "disconnected", detail: "" };
  #upgrade = "-";
  /** The arguments that acknowledge events of the server; null: no acknowledgement. */
  answer = null;

  constructor(Manager, report, changed) {
    this.#Manager = Manager;
    this.#report = report;
    this.#changed = changed;
  }

  get isOpen() {
    return this.#socket !== null;
  }

  /** Connect to a namespace; the options are those of the form. */
  connect({ namespace, auth, ...options }) {
    this.disconnect();
    const manager = new this.#Manager(location.origin, { ...options, autoConnect: false });
    const socket = manager.socket(namespace, { auth });
    this.#manager = manager;
    this.#socket = socket;
    this.#upgrade = "-";
    manager.on("reconnect_attempt", (attempt) => {
      this.#enter("connecting", `attempt ${attempt}`);
      // The manager creates the engine of the attempt after this event.
      queueMicrotask(() => this.#watchEngine());
    });
    manager.on("reconnect_failed", () => this.#enter("disconnected", "all attempts failed"));
    socket.on("connect", () => {
      this.#enter("connected", "");
      const detail = socket.recovered ? `id ${socket.id}, recovered` : `id ${socket.id}`;
      this.#report("connection", "", "connect", detail);
    });
    socket.on("connect_error", (error) => this.#refused(error));
    socket.on("disconnect", (reason) => {
      this.#report("connection", "", "disconnect", reason);
      this.#enter(this.#next(), reason);
    });
    socket.onAny((name, ...values) => this.#received(name, values));
    this.#enter("connecting", "");
    socket.connect();
    this.#watchEngine();
  }

  /** Leave the namespace, and end the connection. */
  disconnect() {
    const [socket, manager] = [this.#socket, this.#manager];
    if (socket === null) return;
    socket.disconnect();
    manager.reconnection(false);
    manager.engine?.close();
    this.#socket = this.#manager = this.#engine = null;
    this.#enter("disconnected", "by this page");
  }

  /** Close the transport without a packet of the namespace, as a lost network does. */
  breakTransport() {
    this.#manager?.engine?.close();
  }

  /**
   * Emit an event. Without `timeout`, return null; with it, return a promise of
   * {values, milliseconds}, which rejects if no acknowledgement arrives.
   */
  emit(name, values, { timeout = null, volatile = false } = {}) {
    const socket = this.#socket;
    if (volatile && !socket.connected) {
      this.#report("event", "sent", name, "discarded: a volatile event requires a connection");
      return null;
    }
    const queued = socket.connected ? "" : "queued until the socket is connected: ";
    // The client refuses reserved names here, before the entry of the log.
    if (timeout === null) {
      (volatile ? socket.volatile : socket).emit(name, ...values);
      this.#report("event", "sent", name, queued + formatValues(values));
      return null;
    }
    let settle;
    const answered = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    const begun = performance.now();
    const target = volatile ? socket.timeout(timeout).volatile : socket.timeout(timeout);
    target.emit(name, ...values, (error, ...answer) => {
      const milliseconds = performance.now() - begun;
      if (error) {
        this.#report("event", "", `ack of ${name}`, `not received within ${timeout} ms`);
        settle.reject(new Error(`No acknowledgement within ${timeout} ms`));
      } else {
        const time = `${milliseconds.toFixed(1)} ms: `;
        this.#report("event", "received", `ack of ${name}`, time + formatValues(answer));
        settle.resolve({ values: answer, milliseconds });
      }
    });
    this.#report("event", "sent", name, queued + formatValues(values));
    return answered;
  }

  #received(name, values) {
    const last = values.at(-1);
    const respond = typeof last === "function" ? values.pop() : null;
    this.#report("event", "received", name, formatValues(values));
    if (respond !== null && this.answer !== null) {
      respond(...this.answer);
      this.#report("event", "sent", `ack of ${name}`, formatValues(this.answer));
    }
  }

  #refused(error) {
    const data = error.data === undefined ? "" : ` ${formatValues([error.data])}`;
    // The client reports its own errors with the status or the event of the transport.
    const cause = typeof error.description === "number" ? ` (HTTP status ${error.description})` : "";
    this.#report("connection", "", "connect_error", `${error.message}${cause}${data}`);
    this.#enter(this.#next(), `${error.message}${cause}`);
  }

  /** Return the state after a failure: a refused socket is not active, and does not reconnect. */
  #next() {
    return this.#socket?.active && this.#manager.reconnection() ? "connecting" : "disconnected";
  }

  #watchEngine() {
    const engine = this.#manager?.engine;
    if (!engine || engine === this.#engine) return;
    this.#engine = engine;
    const packet = (direction, each) => {
      const { name, text } = describePacket(each);
      this.#report("packet", direction, name, text);
    };
    engine.on("packet", (each) => packet("received", each));
    engine.on("packetCreate", (each) => packet("sent", each));
    engine.on("upgrading", (transport) => this.#upgrading(`to ${transport.name} in progress`));
    engine.on("upgrade", (transport) => this.#upgrading(`to ${transport.name}`));
    engine.on("upgradeError", (error) => this.#upgrading(`failed: ${error.message}`));
    engine.on("close", (reason) => {
      this.#report("connection", "", "transport closed", reason);
      if (engine === this.#engine) this.#upgrade = "-";
    });
  }

  #upgrading(text) {
    this.#upgrade = text;
    this.#report("connection", "", "upgrade", text);
    this.#enter(this.#state.name, this.#state.detail);
  }

  #enter(name, detail) {
    this.#state = { name, detail };
    const socket = this.#socket;
    const isConnected = name === "connected";
    this.#changed({
      name,
      detail,
      transport: isConnected ? this.#manager.engine.transport.name : "-",
      upgrade: this.#upgrade,
      id: isConnected ? socket.id : "-",
      recovered: isConnected ? (socket.recovered ? "yes" : "no") : "-",
    });
  }
}
