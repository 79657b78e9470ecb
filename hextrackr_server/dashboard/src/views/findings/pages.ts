/**
 * The rows of a list that are near the visible part: pages are read from the hub when they become
 * visible, one at a time, and read again after changes. Earlier rows stay visible meanwhile.
 */

import { batch, signal } from "@preact/signals";

export interface PageOf<T> {
  rows: T[];
  total: number;
}

interface Loaded<T> {
  rows: T[];
  epoch: number;
}

/** Pages that stay in memory besides the visible ones. */
const KEPT = 40;
const KEPT_CHANGES = 2000;

export class Pages<T extends { id: number }> {
  /** The number of rows of the list; null before the first answer. */
  readonly total = signal<number | null>(null);
  readonly error = signal<unknown>(null);
  readonly loading = signal(false);
  /** Increases when rows change. */
  readonly version = signal(0);
  readonly #pages = new Map<number, Loaded<T>>();
  readonly #changed = new Map<number, number>();
  #epoch = 0;
  #first = 0;
  #last = 0;
  #isStopped = false;

  constructor(
    private readonly read: (page: number, limit: number) => Promise<PageOf<T>>,
    readonly size = 30,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Return a row by its index, or undefined while its page is not loaded. */
  row(index: number): T | undefined {
    return this.#pages.get(Math.floor(index / this.size) + 1)?.rows[index % this.size];
  }

  /** Return the milliseconds since a live change of a row, or null. */
  sinceChange(id: number): number | null {
    const at = this.#changed.get(id);
    return at === undefined ? null : this.now() - at;
  }

  /** Load the pages of a range of indices. */
  show(first: number, last: number): void {
    this.#first = first;
    this.#last = Math.max(first, last);
    void this.#work();
  }

  /** Change a row if it is loaded, and return whether it is; the time of the change stays known. */
  update(id: number, change: Partial<T>): boolean {
    if (this.#changed.size >= KEPT_CHANGES) this.#changed.clear();
    this.#changed.set(id, this.now());
    for (const page of this.#pages.values()) {
      const index = page.rows.findIndex((row) => row.id === id);
      if (index === -1) continue;
      page.rows[index] = { ...page.rows[index]!, ...change };
      this.version.value += 1;
      return true;
    }
    return false;
  }

  /** Read all pages again when they are visible; also after a failure. */
  invalidate(): void {
    this.#epoch += 1;
    void this.#work();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #nextPage(): number | null {
    const last = this.total.peek() === null ? this.#first : Math.min(this.#last, this.total.peek()! - 1);
    for (let page = this.#pageOf(this.#first); page <= this.#pageOf(last); page += 1) {
      if (this.#pages.get(page)?.epoch !== this.#epoch) return page;
    }
    return null;
  }

  #pageOf(index: number): number {
    return Math.floor(Math.max(0, index) / this.size) + 1;
  }

  async #work(): Promise<void> {
    if (this.loading.peek()) return;
    this.loading.value = true;
    try {
      for (let page = this.#nextPage(); page !== null && !this.#isStopped; page = this.#nextPage()) {
        await this.#load(page);
      }
    } catch (error) {
      this.error.value = error;
    } finally {
      this.loading.value = false;
    }
  }

  async #load(page: number): Promise<void> {
    const epoch = this.#epoch;
    const { rows, total } = await this.read(page, this.size);
    if (this.#isStopped) return;
    batch(() => {
      this.#pages.set(page, { rows, epoch });
      this.total.value = total;
      this.error.value = null;
      this.version.value += 1;
    });
    this.#forget();
  }

  #forget(): void {
    const middle = this.#pageOf((this.#first + this.#last) / 2);
    const far = [...this.#pages.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const page of far.slice(0, Math.max(0, far.length - KEPT))) this.#pages.delete(page);
  }
}
