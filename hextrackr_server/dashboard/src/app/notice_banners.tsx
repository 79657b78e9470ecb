/** Banners above each view: maintenance windows, and urgent announcements until they are read. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { duration, when } from "../components/format";
import { Icon } from "../components/icon";
import { toast } from "../components/toast";
import { maintenance, markRead, notices, onNotice } from "../live/notices";
import type { MaintenanceWindow } from "../types/events";
import { announce } from "./announcer";
import { route } from "./router";

const URGENT = new Set(["high", "critical"]);

export function NoticeBanners() {
  useEffect(
    () =>
      onNotice(({ kind, message, priority, from }) => {
        const isUrgent = URGENT.has(priority);
        announce(message, isUrgent);
        // These views show the new entry themselves, and a banner shows an urgent announcement.
        const { view } = route.peek();
        if (view === "notifications" || (view === "imports" && kind === "import")) return;
        if (isUrgent && kind === "announcement") return;
        toast({ title: titleOf(kind, from), description: message, kind: isUrgent ? "error" : "info" });
      }),
    [],
  );
  const urgent = notices.value.filter(
    ({ kind, priority, isRead }) => kind === "announcement" && URGENT.has(priority) && !isRead,
  );
  return (
    <>
      {maintenance.value.map((each) => (
        <Maintenance key={each.id} window={each} />
      ))}
      {urgent.map(({ id, message, priority, from }) => (
        <div key={id} class={`banner banner-${priority}`} role="group" aria-label="Announcement">
          <span>
            <strong>{from ? `Announcement of ${from}:` : "Announcement:"}</strong> {message}
          </span>
          <button type="button" class="button" onClick={() => markRead(id)}>
            <Icon name="check" size={14} /> Mark as read
          </button>
        </div>
      ))}
    </>
  );
}

function titleOf(kind: string, from: string | null): string {
  if (kind === "announcement") return from ? `Announcement of ${from}` : "Announcement";
  if (kind === "import") return "Import";
  return kind === "user" ? "Notification" : "System";
}

function Maintenance({ window: { startTime, duration: length, isActive, message } }: { window: MaintenanceWindow }) {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const end = startTime + length;
  if (end <= now.value) return null;
  const text = isActive
    ? `Maintenance until ${when(end)}: new imports are refused`
    : `Maintenance at ${when(startTime)}, in ${duration(startTime - now.value)}, for ${duration(length)}`;
  return (
    <div class="banner banner-warning" role="group" aria-label="Maintenance">
      <span>
        <strong>{text}.</strong> {message}
      </span>
    </div>
  );
}
