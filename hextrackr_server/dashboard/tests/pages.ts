import assert from "node:assert/strict";
import { test } from "node:test";
import { Pages } from "../src/views/findings/pages";

interface Row {
  id: number;
  name: string;
}

/** A hub with `total` rows; each read waits until `answer` is called. */
class Hub {
  reads: number[] = [];
  failure: Error | null = null;
  #waiting: (() => void)[] = [];

  constructor(public total: number) {}

  read = async (page: number, limit: number): Promise<{ rows: Row[]; total: number }> => {
    this.reads.push(page);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.failure) throw this.failure;
    const first = (page - 1) * limit;
    const length = Math.max(0, Math.min(limit, this.total - first));
    const rows = Array.from({ length }, (_, index) => ({ id: first + index, name: `row ${first + index}` }));
    return { rows, total: this.total };
  };

  async answer(): Promise<void> {
    this.#waiting.shift()!();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function open(total: number): Promise<{ hub: Hub; pages: Pages<Row> }> {
  const hub = new Hub(total);
  const pages = new Pages<Row>(hub.read, 10, () => 1000);
  pages.show(0, 15);
  await hub.answer();
  return { hub, pages };
}

test("visible pages are read one at a time", async () => {
  const { hub, pages } = await open(1000);
  assert.deepEqual(hub.reads, [1, 2]);
  await hub.answer();
  assert.deepEqual(hub.reads, [1, 2]);
  assert.equal(pages.total.value, 1000);
  assert.equal(pages.row(15)?.name, "row 15");
  assert.equal(pages.row(20), undefined);
  assert.equal(pages.loading.value, false);
});

test("pages that were scrolled past are not read", async () => {
  const { hub, pages } = await open(1000);
  pages.show(300, 305);
  pages.show(500, 505);
  await hub.answer();
  await hub.answer();
  assert.deepEqual(hub.reads, [1, 2, 51]);
});

test("a short list needs no further page", async () => {
  const { hub } = await open(3);
  assert.deepEqual(hub.reads, [1]);
});

test("invalid pages are read again and stay visible meanwhile", async () => {
  const { hub, pages } = await open(5);
  hub.total = 4;
  pages.invalidate();
  assert.equal(pages.row(4)?.name, "row 4");
  await hub.answer();
  assert.equal(pages.total.value, 4);
  assert.equal(pages.row(4), undefined);
});

test("a change during a read makes the answer invalid", async () => {
  const { hub, pages } = await open(5);
  pages.invalidate();
  pages.invalidate();
  await hub.answer();
  await hub.answer();
  assert.deepEqual(hub.reads, [1, 1, 1]);
});

test("a live change updates a loaded row, and marks one that is loaded later", async () => {
  const { pages } = await open(5);
  assert.equal(pages.update(3, { name: "changed" }), true);
  assert.equal(pages.row(3)?.name, "changed");
  assert.equal(pages.sinceChange(3), 0);
  assert.equal(pages.sinceChange(2), null);
  assert.equal(pages.update(77, { name: "elsewhere" }), false);
  assert.equal(pages.sinceChange(77), 0);
});

test("a failed read is reported, and repeated after invalidate", async () => {
  const { hub, pages } = await open(5);
  hub.failure = new Error("offline");
  pages.invalidate();
  await hub.answer();
  assert.equal((pages.error.value as Error).message, "offline");
  assert.equal(pages.row(0)?.name, "row 0");
  hub.failure = null;
  pages.invalidate();
  await hub.answer();
  assert.equal(pages.error.value, null);
});

test("far pages are forgotten", async () => {
  const { hub, pages } = await open(100_000);
  await hub.answer();
  for (let page = 3; page < 60; page += 1) {
    pages.show((page - 1) * 10, (page - 1) * 10);
    await hub.answer();
  }
  assert.equal(pages.row(0), undefined);
  assert.notEqual(pages.row(580), undefined);
});

test("a stopped list reads no more pages", async () => {
  const { hub, pages } = await open(1000);
  pages.stop();
  await hub.answer();
  pages.show(900, 900);
  assert.deepEqual(hub.reads, [1, 2]);
});
