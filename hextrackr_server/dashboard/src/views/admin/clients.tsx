/** Connected clients of all users, and the end of their connections. */

import { useEffect, useState } from "preact/hooks";
import { user } from "../../app/session";
import { count, duration } from "../../components/format";
import { Dialog } from "../../components/dialog";
import { Problem } from "../../components/problem";
import { Pager, TableHead } from "../../components/table";
import { toast } from "../../components/toast";
import { hub, openAdmin, phase, useQuery } from "../../live";
import type { Client, Page } from "../../types/hub";

const LIMIT = 50;
/** No event reports the arrival of a client. */
const EVERY_MS = 5000;

export function Clients() {
  const [page, setPage] = useState(1);
  const [userId, setUserId] = useState("");
  const [wanted, setWanted] = useState("");
  const [chosen, choose] = useState<Client | null>(null);
  const query = useQuery(
    () =>
      openAdmin().request<Page<Client>>("list-clients", {
        page,
        limit: LIMIT,
        ...(wanted ? { userId: wanted } : {}),
      }),
    { keep: true },
    [page, wanted],
  );
  useEffect(() => {
    const timer = setInterval(() => {
      if (phase.value === "connected" && document.visibilityState === "visible") query.reload();
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [query]);
  const answer = query.data.value;
  const clients = answer?.data ?? [];
  const pages = answer?.pagination.pages ?? 1;
  const own = new Set([hub.socket?.id, openAdmin().socket?.id]);
  return (
    <section class="card" aria-labelledby="clients-title">
      <div class="card-header">
        <h2 id="clients-title">
          Connected clients {answer !== undefined && <span class="badge">{count(answer.pagination.total)}</span>}
        </h2>
        <form
          class="toolbar"
          role="search"
          aria-label="Clients"
          onSubmit={(event) => {
            event.preventDefault();
            setPage(1);
            setWanted(userId.trim());
            query.reload();
          }}
        >
          <label class="field">
            <span>User ID</span>
            <input
              type="search"
              maxLength={128}
              value={userId}
              onInput={(event) => {
                const { value } = event.currentTarget;
                setUserId(value);
                if (value === "") setWanted("");
              }}
            />
          </label>
          <button type="submit" class="button">
            Show
          </button>
        </form>
      </div>
      <Problem of={query.error.value} />
      {answer !== undefined && clients.length === 0 && <p class="hint">This user has no client.</p>}
      {clients.length > 0 && (
        <div class="table-scroll">
          <table class="table table-stack">
            <TableHead
              columns={[
                "User",
                "Address",
                "Transport",
                "Namespace",
                "Connected for",
                "Client",
                "Rooms",
                { hidden: "Actions" },
              ]}
            />
            <tbody>
              {clients.map((client) => (
                <Row key={client.id} client={client} isOwn={own.has(client.id)} onDisconnect={() => choose(client)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pager list="clients" page={page} pages={pages} onPage={setPage} />
      {chosen !== null && (
        <Disconnect
          client={chosen}
          onClose={() => choose(null)}
          onDone={() => {
            choose(null);
            query.reload();
          }}
        />
      )}
    </section>
  );
}

interface RowProps {
  client: Client;
  isOwn: boolean;
  onDisconnect: () => void;
}

function Row({ client, isOwn, onDisconnect }: RowProps) {
  const { username, userId, role, address, transport, namespace, since, recovered, userAgent, rooms } = client;
  return (
    <tr>
      <th scope="row" class="cut">
        {username} {role !== "user" && <span class="badge">{role}</span>} {isOwn && <span class="badge">this page</span>}
        {username !== userId && <span class="hint"> {userId}</span>}
      </th>
      <td class="mono" data-label="Address">
        {address}
      </td>
      <td data-label="Transport">
        {transport}
        {recovered && <span class="hint"> recovered</span>}
      </td>
      <td class="mono" data-label="Namespace">
        {namespace}
      </td>
      <td class="nowrap" data-label="Connected for">
        {duration(Date.now() - since)}
      </td>
      <td class="cut agent" data-label="Client">
        <span title={userAgent}>{userAgent || "–"}</span>
      </td>
      <td class="cut" data-label="Rooms">
        {rooms.length > 0 ? (
          <details>
            <summary>{count(rooms.length)}</summary>
            {rooms.join(", ")}
          </details>
        ) : (
          "–"
        )}
      </td>
      <td class="actions">
        <button
          type="button"
          class="button"
          aria-label={`Disconnect ${username} in ${namespace}`}
          onClick={onDisconnect}
        >
          Disconnect
        </button>
      </td>
    </tr>
  );
}

interface DisconnectProps {
  client: Client;
  onClose: () => void;
  onDone: () => void;
}

function Disconnect({ client, onClose, onDone }: DisconnectProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const { id, username, userId } = client;
  const disconnect = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await openAdmin().request("disconnect-client", { id });
      toast({ title: `The client of ${username} is disconnected`, kind: "good" });
      onDone();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Disconnect ${username}?`} open onClose={onClose}>
      <p>
        The connection of this client ends, in all namespaces. The client may connect again; to end the logins of
        a user, revoke them.
        {userId === user.value?.userId && " It may be the connection of this page."}
      </p>
      <Problem of={error} />
      <div class="toolbar">
        <button type="button" class="button button-danger" disabled={isBusy} onClick={disconnect}>
          Disconnect the client
        </button>
        <button type="button" class="button" onClick={onClose}>
          Keep the connection
        </button>
      </div>
    </Dialog>
  );
}
