/** The list of findings in the address of the page, kept up to date by the events of the hub. */

import { effect } from "@preact/signals";
import { generation, on, phase, request } from "../../live";
import type { Finding, FindingUpdate, ListAnswer } from "../../types/manual";
import { toRequest, type Filters } from "./filters";
import { Pages } from "./pages";

/** Least number of milliseconds between two reads because of events. */
const INTERVAL = 1500;

/** Return the list, and the function that ends its updates. */
export function openList(filters: Filters, sort: string): { pages: Pages<Finding>; close: () => void } {
  const wanted = { resource: "findings", filters: toRequest(filters), sort };
  const pages = new Pages<Finding>(async (page, limit) => {
    const { data, pagination } = await request<ListAnswer<Finding>>("get-data", { ...wanted, page, limit });
    return { rows: data, total: pagination.total };
  });

  let timer: ReturnType<typeof setTimeout> | undefined;
  const invalidateSoon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      pages.invalidate();
    }, INTERVAL);
  };
  const apply = ({ id, data }: FindingUpdate): void => {
    pages.update(Number(id), data);
    // A change may move the row, or move it into or out of the list.
    invalidateSoon();
  };
  const endings = [
    on("vulnerability-updated", apply),
    on("vulnerability-change", invalidateSoon),
    on("import-undone", invalidateSoon),
    on("batch-updates", (updates: Record<string, unknown>) => {
      for (const update of (updates["vulnerability-updated"] ?? []) as FindingUpdate[]) apply(update);
      if ("vulnerability-change" in updates) invalidateSoon();
    }),
    on("kev-sync-update", ({ status }: { status: string }) => {
      if (status === "completed") invalidateSoon();
    }),
    readAfterReturns(pages),
  ];
  return {
    pages,
    close: () => {
      clearTimeout(timer);
      pages.stop();
      for (const end of endings) end();
    },
  };
}

/** Read the visible rows again after missed events, or if the last read failed. */
function readAfterReturns(pages: Pages<Finding>): () => void {
  let known = generation.peek();
  return effect(() => {
    const current = generation.value;
    if (phase.value !== "connected") return;
    if (current !== known || pages.error.peek() !== null) pages.invalidate();
    known = current;
  });
}
