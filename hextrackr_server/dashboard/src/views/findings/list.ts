/** The list of findings in the address of the page, kept up to date by the events of the hub. */

import { effect } from "@preact/signals";
import { generation, list, on, phase, retryDelay } from "../../live";
import type { FindingProperties, Vulnerability, VulnerabilityUpdate } from "../../types/events";
import { toRequest, type Filters } from "./filters";
import { Pages } from "./pages";

/** Least number of milliseconds between two reads because of events. */
const INTERVAL = 1500;

/** Return the list, and the function that ends its updates. */
export function openList(filters: Filters, sort: string): { pages: Pages<Vulnerability>; close: () => void } {
  const wanted = { filters: toRequest(filters), sort };
  const pages = new Pages<Vulnerability>(async (page, limit) => {
    const { data, pagination } = await list("findings", { ...wanted, page, limit });
    return { rows: data, total: pagination.total };
  });

  let timer: ReturnType<typeof setTimeout> | undefined;
  const invalidateSoon = (delay = INTERVAL): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      pages.invalidate();
    }, delay);
  };
  const apply = ({ id, data }: VulnerabilityUpdate): void => {
    pages.update(Number(id), toRow(data));
    // A change may move the row, or move it into or out of the list.
    invalidateSoon();
  };
  const endings = [
    on("vulnerability-updated", apply),
    on("vulnerability-change", () => invalidateSoon()),
    on("import-undone", () => invalidateSoon()),
    on("batch-updates", (updates) => {
      for (const update of updates["vulnerability-updated"] ?? []) apply(update);
      if ("vulnerability-change" in updates) invalidateSoon();
    }),
    on("kev-sync-update", ({ status }) => {
      if (status === "completed") invalidateSoon();
    }),
    readAfterReturns(pages),
    pages.error.subscribe((failure) => {
      const delay = retryDelay(failure);
      if (delay !== null) invalidateSoon(delay);
    }),
  ];
  pages.show(0, 0);
  return {
    pages,
    close: () => {
      clearTimeout(timer);
      pages.stop();
      for (const end of endings) end();
    },
  };
}

/** Return the columns of a row that an event contains; the event spells two of them differently. */
function toRow({ id, isKev, ...data }: FindingProperties): Partial<Vulnerability> {
  return isKev === undefined ? data : { ...data, isKev: isKev ? "Yes" : "No" };
}

/** Read the visible rows again after missed events, or if the last read failed. */
function readAfterReturns(pages: Pages<Vulnerability>): () => void {
  let known = generation.peek();
  return effect(() => {
    const current = generation.value;
    if (phase.value !== "connected") return;
    if (current !== known || pages.error.peek() !== null) pages.invalidate();
    known = current;
  });
}
