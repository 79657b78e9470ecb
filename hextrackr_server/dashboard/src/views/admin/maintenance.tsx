/** Maintenance windows: planned, active, and a form for a new one. */

import { useState } from "preact/hooks";
import { duration, when } from "../../components/format";
import { Problem } from "../../components/problem";
import { toast } from "../../components/toast";
import { openAdmin, useQuery } from "../../live";
import type { MaintenanceWindow } from "../../types/hub";

const MINUTE_MS = 60_000;
const EVENTS = ["maintenance-scheduled", "system-notification"];

/** Return a local time as the field for times has it: without a zone, to the minute. */
function localTime(ms: number): string {
  const offset = new Date(ms).getTimezoneOffset() * MINUTE_MS;
  return new Date(ms - offset).toISOString().slice(0, 16);
}

export function Maintenance() {
  const query = useQuery(
    () => openAdmin().request<{ data: MaintenanceWindow[] }>("list-maintenance"),
    { events: EVENTS, interval: 300 },
  );
  const windows = query.data.value?.data ?? [];
  return (
    <section class="card" aria-labelledby="maintenance-title">
      <h2 id="maintenance-title">Maintenance</h2>
      <p class="hint">During a window, only administrators start imports. All users see it beforehand.</p>
      <Problem of={query.error.value} />
      {windows.length > 0 && (
        <ul class="plain-list" aria-label="Maintenance windows">
          {windows.map((each) => (
            <Window key={each.id} window={each} onCancelled={query.reload} />
          ))}
        </ul>
      )}
      <ScheduleForm onScheduled={query.reload} />
    </section>
  );
}

function Window({ window, onCancelled }: { window: MaintenanceWindow; onCancelled: () => void }) {
  const [error, setError] = useState<unknown>(null);
  const { id, startTime, duration: length, message, isActive, scheduledBy } = window;
  const cancel = (): void => {
    setError(null);
    openAdmin()
      .request("cancel-maintenance", id)
      .then(onCancelled)
      .catch(setError);
  };
  return (
    <li class="window">
      <span>
        <span class={isActive ? "badge badge-medium" : "badge"}>{isActive ? "Active" : "Planned"}</span>{" "}
        {when(startTime)}, for {duration(length)}
        <span class="hint">
          {message && ` ${message}`} by {scheduledBy}
        </span>
      </span>
      <button
        type="button"
        class="button"
        aria-label={`${isActive ? "End" : "Cancel"} the maintenance of ${when(startTime)}`}
        onClick={cancel}
      >
        {isActive ? "End now" : "Cancel"}
      </button>
      <Problem of={error} />
    </li>
  );
}

function ScheduleForm({ onScheduled }: { onScheduled: () => void }) {
  const [start, setStart] = useState(() => localTime(Date.now() + 60 * MINUTE_MS));
  const [minutes, setMinutes] = useState("30");
  const [message, setMessage] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const schedule = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await openAdmin().request("system-maintenance", {
        startTime: Date.parse(start), // a local time
        duration: Math.round(Number(minutes) * MINUTE_MS),
        ...(message.trim() ? { message } : {}),
      });
      toast({ title: "The maintenance is scheduled", kind: "good" });
      setMessage("");
      onScheduled();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="admin-form"
      onSubmit={(event) => {
        event.preventDefault();
        void schedule();
      }}
    >
      <div class="toolbar">
        <label class="field">
          <span>Start (local time)</span>
          <input
            type="datetime-local"
            required
            value={start}
            onInput={(event) => setStart(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Minutes</span>
          <input
            type="number"
            required
            min={1}
            max={7 * 24 * 60}
            value={minutes}
            onInput={(event) => setMinutes(event.currentTarget.value)}
          />
        </label>
      </div>
      <label class="field">
        <span>Message (optional)</span>
        <input maxLength={500} value={message} onInput={(event) => setMessage(event.currentTarget.value)} />
      </label>
      <div>
        <button type="submit" class="button" disabled={isBusy}>
          Schedule the maintenance
        </button>
      </div>
      <Problem of={error} />
    </form>
  );
}
