/** Synchronization of the catalog of known exploited vulnerabilities (KEV), with its progress. */

import { useEffect, useState } from "preact/hooks";
import { api } from "../../api";
import { count, when } from "../../components/format";
import { Problem } from "../../components/problem";
import { ProgressBar } from "../../components/progress_bar";
import { on, useQuery } from "../../live";
import type { KevSyncUpdate, KevStatus } from "../../types/hub";

/** The server fetches the catalog within minutes, or fails. */
const SECONDS = 300;
const PHASES: Record<KevSyncUpdate["status"], string> = {
  started: "Starting",
  fetching: "Fetching the catalog",
  processing: "Storing the entries",
  completed: "Completed",
  failed: "Failed",
  skipped: "The catalog has not changed",
};

interface Outcome {
  newEntries: number;
  changedEntries?: number;
  removedEntries?: number;
  problemEntries?: number;
  skipped?: boolean;
  problems?: { message: string }[];
}

export function KevSync() {
  const [progress, setProgress] = useState<KevSyncUpdate | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [isForced, setForced] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const query = useQuery(() => api.get<KevStatus>("api/kev/status"), { events: ["kev-sync-update"], interval: 1000 });
  useEffect(() => on("kev-sync-update", setProgress), []);
  const status = query.data.value;
  const isRunning = progress !== null && ["started", "fetching", "processing"].includes(progress.status);

  const synchronize = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    setOutcome(null);
    try {
      setOutcome(await api.post<Outcome>(`api/kev/sync${isForced ? "?force=true" : ""}`, undefined, SECONDS));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
      query.reload();
    }
  };

  return (
    <section class="card" aria-labelledby="kev-title">
      <h2 id="kev-title">Exploited vulnerabilities (KEV)</h2>
      {status !== undefined && (
        <p class="facts">
          <span>{count(status.totalKevs)} entries</span>
          <span>{count(status.matchedCount)} with open findings</span>
          <span>{status.lastSync === null ? "never synchronized" : `synchronized ${when(status.lastSync)}`}</span>
          <span>{status.nextSync === null ? "no schedule" : `next ${when(status.nextSync)}`}</span>
          {status.catalogVersion && <span>catalog {status.catalogVersion}</span>}
        </p>
      )}
      <Problem of={query.error.value} />
      {isRunning && (
        <div role="status">
          <p>{PHASES[progress.status]}</p>
          <ProgressBar
            label="Synchronization of the catalog"
            value={progress.total ? (100 * progress.processedCount) / progress.total : null}
          />
        </div>
      )}
      {!isRunning && outcome !== null && <Result outcome={outcome} />}
      <Problem of={error} />
      <div class="toolbar">
        <button
          type="button"
          class="button button-primary"
          disabled={isBusy || isRunning || status?.syncInProgress}
          onClick={synchronize}
        >
          {isBusy || isRunning ? "Synchronizing…" : "Synchronize now"}
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={isForced}
            onChange={(event) => setForced(event.currentTarget.checked)}
          />
          Also an unchanged or much smaller catalog
        </label>
      </div>
    </section>
  );
}

function Result({ outcome }: { outcome: Outcome }) {
  const { newEntries, changedEntries = 0, removedEntries = 0, problemEntries = 0, skipped, problems = [] } = outcome;
  if (skipped) return <p class="note">The catalog has not changed.</p>;
  return (
    <div class={problemEntries > 0 ? "note note-warning" : "note note-good"} role="status">
      {count(newEntries)} new, {count(changedEntries)} changed, {count(removedEntries)} removed.
      {problemEntries > 0 && ` ${count(problemEntries)} entries are unusable and stay as they were: `}
      {problems
        .slice(0, 3)
        .map(({ message }) => message)
        .join("; ")}
    </div>
  );
}
