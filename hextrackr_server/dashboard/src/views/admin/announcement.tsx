/** Announcements to all users. */

import { useState } from "preact/hooks";
import { toast } from "../../components/toast";
import { Problem } from "../../components/problem";
import { openAdmin } from "../../live";

const PRIORITIES = ["low", "normal", "high", "critical"] as const;
const LONGEST = 1000;

export function Announcement() {
  const [message, setMessage] = useState("");
  const [priority, setPriority] = useState<string>("normal");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await openAdmin().request("broadcast-announcement", { message, priority });
      toast({ title: "The announcement is sent", kind: "good" });
      setMessage("");
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="card" aria-labelledby="announcement-title">
      <h2 id="announcement-title">Announce</h2>
      <form
        class="admin-form"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <label class="field">
          <span>Message to all users</span>
          <textarea
            rows={3}
            required
            maxLength={LONGEST}
            value={message}
            onInput={(event) => setMessage(event.currentTarget.value)}
          />
        </label>
        <div class="toolbar">
          <label class="field">
            <span>Priority</span>
            <select value={priority} onChange={(event) => setPriority(event.currentTarget.value)}>
              {PRIORITIES.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          </label>
          <button type="submit" class="button button-primary" disabled={isBusy || !message.trim()}>
            Send the announcement
          </button>
        </div>
        <Problem of={error} />
      </form>
    </section>
  );
}
