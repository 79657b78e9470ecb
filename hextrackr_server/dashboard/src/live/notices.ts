/**
 * Notifications, announcements and maintenance windows of this user. The list stays in the browser
 * with its read state; the hub sends notifications once, or until they are acknowledged.
 */

import { computed, effect, signal } from "@preact/signals";
import { count } from "../components/format";
import type { ImportEnded, MaintenanceWindow } from "../types/events";
import { hub } from "./connection";
import { phase } from "./state";

export type Priority = "low" | "normal" | "high" | "critical";

export interface Notice {
  id: string;
  kind: "user" | "system" | "announcement" | "import";
  type: string;
  message: string;
  priority: Priority;
  from: string | null;
  timestamp: number;
  isRead: boolean;
  data?: unknown;
}

interface Stored {
  list: readonly Notice[];
  removed: readonly string[];
}

const KEPT = 200;

export const notices = signal<readonly Notice[]>([]);
export const unread = computed(() => notices.value.filter(({ isRead }) => !isRead).length);
/** Announced windows that have not ended, the earliest first. */
export const maintenance = signal<readonly MaintenanceWindow[]>([]);

let key: string | null = null;
/** IDs of notices that the user removed; the hub may send them again. */
let removed: readonly string[] = [];
const arrivals = new Set<(notice: Notice) => void>();
/** Notices that arrived before the user was known. */
const early: (() => void)[] = [];

/** Call a function for each new notice; return the function that ends it. */
export function onNotice(listener: (notice: Notice) => void): () => void {
  arrivals.add(listener);
  return () => arrivals.delete(listener);
}

/** Show the stored notices of a user. */
export function openNotices(userId: string): void {
  if (key === keyOf(userId)) return;
  key = keyOf(userId);
  const { list, removed: ids } = read(key);
  notices.value = list;
  removed = ids;
  for (const receiveNow of early.splice(0)) receiveNow();
}

const keyOf = (userId: string): string => `hextrackr.notices.${userId}`;

function read(storedKey: string): Stored {
  try {
    const { list = [], removed: ids = [] } = JSON.parse(localStorage.getItem(storedKey) ?? "{}") as Partial<Stored>;
    return { list, removed: ids };
  } catch {
    return { list: [], removed: [] }; // storage is disabled, or holds another text
  }
}

export function markRead(id: string, isRead = true): void {
  store(notices.value.map((each) => (each.id === id ? { ...each, isRead } : each)));
}

export function markAllRead(): void {
  store(notices.value.map((each) => ({ ...each, isRead: true })));
}

export function removeNotices(): void {
  removed = [...notices.value.map(({ id }) => id), ...removed].slice(0, KEPT);
  store([]);
}

/** Remove the stored notices of the user, who signs out. */
export function forgetNotices(): void {
  try {
    if (key !== null) localStorage.removeItem(key);
  } catch {
    // storage is disabled
  }
  key = null;
}

function store(changed: readonly Notice[]): void {
  notices.value = [...changed].sort((a, b) => b.timestamp - a.timestamp).slice(0, KEPT);
  if (key === null) return;
  try {
    localStorage.setItem(key, JSON.stringify({ list: notices.value, removed } satisfies Stored));
  } catch {
    // storage is disabled or full: the list ends with the page
  }
}

type Received = Pick<Notice, "id" | "message" | "timestamp"> & Partial<Notice>;

function receive(kind: Notice["kind"], received: Received, isQuiet = false): void {
  if (key === null) {
    early.push(() => receive(kind, received, isQuiet));
    return;
  }
  // Notifications and ends of imports are sent again with the same ID.
  if (removed.includes(received.id) || notices.value.some(({ id }) => id === received.id)) return;
  const { id, message, timestamp, type = kind, priority = "normal", from = null, data } = received;
  const notice = { id, kind, type, message, priority, from, timestamp, isRead: false, data };
  store([notice, ...notices.value]);
  if (!isQuiet) for (const listener of arrivals) listener(notice);
}

/** Add the end of an import of this user, also one that the hub reports after a return. */
function receiveEnd({ importId, status, timestamp, summary, message, code, late }: ImportEnded): void {
  const { inserted = 0, updated = 0, resolved = 0 } = summary ?? {};
  const details =
    status === "completed"
      ? `${count(inserted)} inserted, ${count(updated)} updated, ${count(resolved)} resolved`
      : (message ?? "");
  const end: Received = {
    id: `import-${importId}-${status}`,
    type: code ?? status,
    message: `Import ${importId} ${status}${details && `: ${details}`}`,
    priority: status === "failed" ? "high" : "normal",
    timestamp,
  };
  // A new page receives the ends of the last imports; only failures are news.
  receive("import", end, late === true && status === "completed");
}

/** Receive the notices of all connections. */
export function watchNotices(): void {
  hub.on("user-notification", (notification: Received, acknowledge?: unknown) => {
    // A function only with HEXTRACKR_NOTIFICATION_ACKS=true; otherwise an offset, or missing.
    if (typeof acknowledge === "function") acknowledge();
    receive("user", notification);
  });
  hub.on("system-announcement", (announcement: Received) => receive("announcement", announcement));
  hub.on("system-notification", (notification: Received & { maintenanceId?: string }) => {
    receive("system", notification);
    const { type, maintenanceId } = notification;
    if (type === "maintenance-started") {
      maintenance.value = maintenance.value.map((each) =>
        each.id === maintenanceId ? { ...each, isActive: true } : each,
      );
    } else if (type === "maintenance-ended" || type === "maintenance-cancelled") {
      maintenance.value = maintenance.value.filter(({ id }) => id !== maintenanceId);
    }
  });
  // A failed or cancelled import is reported to its user, and to its room.
  for (const event of ["import-finished", "import-failed", "import-cancelled"]) hub.on(event, receiveEnd);
  hub.on("maintenance-scheduled", (window: MaintenanceWindow) => {
    const others = maintenance.value.filter(({ id }) => id !== window.id);
    maintenance.value = [...others, window].sort((a, b) => a.startTime - b.startTime);
  });
  addEventListener("storage", (event) => {
    // Another tab of the user changed the list.
    if (key === null || event.key !== key) return;
    ({ list: notices.value, removed } = read(key));
  });
  effect(() => {
    // The hub announces all windows at each connection; one may have ended meanwhile.
    if (phase.value === "connected") maintenance.value = [];
  });
}
