// The log: a bounded list of entries, with filter, pause and clear.
import { byId } from "./fields.js";

const MAX_ENTRIES = 500;
const MAX_TEXT = 4000;
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 };

export class Log {
  #entries = [];
  #queued = [];
  #isPaused = false;
  #isScheduled = false;
  #dropped = 0;
  #missed = 0;
  #list = byId("entries");
  #scroll = byId("scroll");

  constructor() {
    byId("filter").addEventListener("input", () => this.#renderAll());
    byId("kind").addEventListener("change", () => this.#renderAll());
    byId("pause").addEventListener("click", () => this.#togglePause());
    byId("clear").addEventListener("click", () => this.clear());
    this.#showCount();
  }

  /** Add an entry; `direction` is "sent", "received" or empty. */
  add(kind, direction, name, text) {
    const rest = text.length - MAX_TEXT;
    const shown = rest > 0 ? `${text.slice(0, MAX_TEXT)} ... ${rest} more characters` : text;
    const entry = { time: new Date(), kind, direction, name, text: shown };
    this.#entries.push(entry);
    if (this.#entries.length > MAX_ENTRIES) {
      this.#entries.shift();
      this.#dropped += 1;
    }
    if (this.#isPaused) {
      this.#missed += 1;
    } else {
      this.#queued.push(entry);
      if (this.#queued.length > MAX_ENTRIES) this.#queued.shift();
    }
    this.#schedule();
  }

  clear() {
    this.#entries = [];
    this.#queued = [];
    this.#dropped = this.#missed = 0;
    this.#renderAll();
  }

  // Many entries of one moment are rendered at once.
  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#render(this.#queued.splice(0));
      this.#showCount();
    });
  }

  #togglePause() {
    this.#isPaused = !this.#isPaused;
    this.#missed = 0;
    byId("pause").setAttribute("aria-pressed", String(this.#isPaused));
    if (this.#isPaused) this.#showCount();
    else this.#renderAll();
  }

  #renderAll() {
    this.#queued = [];
    this.#list.replaceChildren();
    this.#render(this.#entries);
    this.#showCount();
  }

  #render(entries) {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroll;
    const isAtEnd = scrollTop + clientHeight >= scrollHeight - 4;
    this.#list.append(...entries.filter((entry) => this.#matches(entry)).map(render));
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.firstElementChild.remove();
    if (isAtEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #matches({ kind, direction, name, text }) {
    const wanted = byId("kind").value;
    const filter = byId("filter").value.trim().toLowerCase();
    return (
      (wanted === "" || wanted === kind) &&
      (filter === "" || `${direction} ${name} ${text}`.toLowerCase().includes(filter))
    );
  }

  #showCount() {
    const parts = [`${this.#entries.length} entries`];
    if (this.#dropped > 0) parts.push(`${this.#dropped} older ones dropped`);
    if (this.#isPaused) parts.push(`paused, ${this.#missed} new`);
    byId("count").textContent = parts.join(", ");
  }
}

function render({ time, kind, direction, name, text }) {
  const item = document.createElement("li");
  item.dataset.kind = kind;
  const clock = document.createElement("time");
  clock.dateTime = time.toISOString();
  clock.textContent = time.toLocaleTimeString("en-GB", TIME);
  const arrow = document.createElement("span");
  arrow.className = direction;
  arrow.textContent = { sent: "\u2191 sent", received: "\u2193 received" }[direction] ?? "";
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = name;
  const code = document.createElement("code");
  code.textContent = text;
  item.append(clock, arrow, label, code);
  return item;
}
