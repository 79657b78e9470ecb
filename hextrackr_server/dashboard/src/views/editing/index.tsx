/** The editors of all resources, live. */

import { useState } from "preact/hooks";
import { explain } from "../../api";
import { link } from "../../app/router";
import { user } from "../../app/session";
import { counted, when } from "../../components/format";
import { TableHead } from "../../components/table";
import { edit, editors, keyOf, own } from "../../live/presence";
import type { ResourceEditor } from "../../types/events";

const TYPES = ["vulnerability", "ticket", "device", "import", "template"] as const;

export default function Editing() {
  const all = editors.data.value;
  const error = editors.error.value;
  return (
    <>
      <div class="toolbar">
        <h1>Editing</h1>
        <span class="hint">{all === undefined ? "Loading…" : counted(all.length, "editor")}</span>
      </div>
      {error !== null && (
        <p class="note note-error" role="alert">
          {explain(error)}
        </p>
      )}
      {all !== undefined && <Editors all={all} />}
      <Start />
    </>
  );
}

function Editors({ all }: { all: readonly ResourceEditor[] }) {
  if (all.length === 0) return <p class="card hint">No user is editing. Open a finding, and start to edit it.</p>;
  return (
    <div class="card table-scroll">
      <table class="table">
        <caption class="visually-hidden">Users who edit a resource</caption>
        <TableHead columns={["Resource", "User", "Since", { hidden: "Action" }]} />
        <tbody>
          {all.map(({ resourceType, resourceId, userId, username, startTime }) => {
            const end = userId === user.value?.userId ? own.value.get(keyOf(resourceType, resourceId)) : undefined;
            return (
              <tr key={`${resourceType}:${resourceId}:${userId}`}>
                <td>
                  {resourceType === "vulnerability" ? (
                    <a href={link("findings", { finding: String(resourceId) })}>Finding {resourceId}</a>
                  ) : (
                    `${resourceType} ${resourceId}`
                  )}
                </td>
                <td>
                  {username}
                  {userId === user.value?.userId && " (you)"}
                </td>
                <td>{when(startTime)}</td>
                <td>
                  {end && (
                    <button type="button" class="button" onClick={end}>
                      Stop editing
                    </button>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Announce work on a resource that has no page here, such as a ticket. */
function Start() {
  const [type, setType] = useState<(typeof TYPES)[number]>("vulnerability");
  const [id, setId] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const start = (event: Event): void => {
    event.preventDefault();
    setProblem(null);
    const number = /^\d+$/.test(id.trim()) ? Number(id) : id.trim();
    edit(type, number).then(
      () => setId(""),
      (error: unknown) => setProblem(explain(error)),
    );
  };
  return (
    <form class="card" aria-labelledby="start-title" onSubmit={start}>
      <h2 id="start-title">Show others what you edit</h2>
      <div class="toolbar">
        <label class="field">
          <span>Type</span>
          <select value={type} onChange={(event) => setType(event.currentTarget.value as typeof type)}>
            {TYPES.map((each) => (
              <option key={each} value={each}>
                {each[0]!.toUpperCase() + each.slice(1)}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>ID</span>
          <input required maxLength={128} value={id} onInput={(event) => setId(event.currentTarget.value)} />
        </label>
        <button type="submit" class="button button-primary">
          Start editing
        </button>
      </div>
      {problem !== null && (
        <p class="note note-error" role="alert">
          {problem}
        </p>
      )}
      <p class="hint">
        Others see your name until you stop, close this page, or are idle for half an hour. The hub locks
        nothing.
      </p>
    </form>
  );
}
