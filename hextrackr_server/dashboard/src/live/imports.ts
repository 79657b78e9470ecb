/**
 * Imports that run now or ended recently: a list of the server, kept current by the events of the
 * rooms of imports. The list is read while a component uses it.
 */

import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { ImportStatus, Page, Progress } from "../types/hub";
import { hub } from "./connection";
import { createQuery, type Query } from "./query";
import { generation, phase } from "./state";

const ENDED: ReadonlySet<ImportStatus> = new Set(["completed", "failed", "cancelled"]);
const EVENTS = ["import-started", "import-finished", "import-completed", "import-failed", "import-cancelled"];
/** Rooms of a socket are limited; other imports are read every few seconds. */
const MAXIMUM_ROOMS = 20;
const POLL_MS = 10_000;

export const isEnded = ({ status }: { status: ImportStatus }): boolean => ENDED.has(status);

export interface Imports {
  all: ReadonlySignal<Progress[]>;
  running: ReadonlySignal<Progress[]>;
  query: Query<Page<Progress>>;
}

interface Opened extends Imports {
  close: () => void;
}

/** A change of the view ends one component before the next one begins. */
const CLOSE_MS = 1000;

let opened: Opened | null = null;
let users = 0;
let closing: ReturnType<typeof setTimeout> | undefined;

function open(): Opened {
  const query = createQuery(
    () => hub.request<Page<Progress>>("get-data", { resource: "progress", limit: 100 }),
    { events: EVENTS, interval: 500 },
  );
  const latest = signal<ReadonlyMap<Progress["importId"], Progress>>(new Map());
  const joined = new Set<Progress["importId"]>();

  const note = (state: Progress): void => {
    latest.value = new Map(latest.value).set(state.importId, state);
  };
  const all = computed(() =>
    (query.data.value?.data ?? []).map((row) => {
      const newer = latest.value.get(row.importId);
      return newer !== undefined && newer.seq > row.seq && !isEnded(row) ? { ...row, ...newer } : row;
    }),
  );
  const running = computed(() => all.value.filter((each) => !isEnded(each)));

  const endings = [
    hub.on("import-progress", note),
    // The rooms end with a connection that is not recovered.
    effect(() => {
      generation.value;
      joined.clear();
    }),
    effect(() => {
      if (phase.value !== "connected") return;
      const rows = query.data.value?.data ?? [];
      for (const row of rows) {
        if (isEnded(row)) joined.delete(row.importId);
        else if (!joined.has(row.importId) && joined.size < MAXIMUM_ROOMS) {
          joined.add(row.importId);
          hub
            .request<{ status: Progress }>("join-import-room", row.importId)
            .then(({ status }) => note(status))
            .catch(() => joined.delete(row.importId)); // ended meanwhile; the next list shows it
        }
      }
    }),
  ];
  // Administrators receive no event when another user starts an import.
  const timer = setInterval(() => {
    if (document.visibilityState === "visible" && phase.value === "connected") query.reload();
  }, POLL_MS);
  return {
    all,
    running,
    query,
    close: () => {
      clearInterval(timer);
      for (const end of endings) end();
      for (const importId of joined) hub.request("leave-import-room", importId).catch(() => {});
      query.dispose();
    },
  };
}

function closeUnused(): void {
  if (users > 0 || opened === null) return;
  opened.close();
  opened = null;
}

/** Return the imports for a component; the updates end after the last component. */
export function useImports(): Imports {
  const [imports] = useState(() => {
    clearTimeout(closing);
    return (opened ??= open());
  });
  useEffect(() => {
    users += 1;
    return () => {
      users -= 1;
      clearTimeout(closing);
      closing = setTimeout(closeUnused, CLOSE_MS);
    };
  }, []);
  return imports;
}
