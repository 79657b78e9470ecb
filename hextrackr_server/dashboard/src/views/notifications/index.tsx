/** The notifications of the user, with their read state. */

import "./style.css";
import { when } from "../../components/format";
import { Icon } from "../../components/icon";
import { markAllRead, markRead, notices, removeNotices, unread, type Notice } from "../../live/notices";

const KINDS = { user: "For you", system: "System", announcement: "Announcement", import: "Import" };

export default function Notifications() {
  const all = notices.value;
  return (
    <>
      <div class="toolbar">
        <h1>Notifications</h1>
        <span class="hint">{unread.value === 0 ? "All read" : `${unread.value} unread`}</span>
        <span class="spacer" />
        <button type="button" class="button" disabled={unread.value === 0} onClick={markAllRead}>
          <Icon name="check" /> Mark all as read
        </button>
        <button type="button" class="button" disabled={all.length === 0} onClick={removeNotices}>
          Clear
        </button>
      </div>
      {all.length === 0 ? (
        <p class="card hint">
          There are no notifications. Announcements of administrators, messages for you, and messages of the
          system appear here.
        </p>
      ) : (
        <ul class="notices" aria-label="Notifications">
          {all.map((notice) => (
            <Entry key={notice.id} notice={notice} />
          ))}
        </ul>
      )}
    </>
  );
}

function Entry({ notice }: { notice: Notice }) {
  const { id, kind, type, message, priority, from, timestamp, isRead } = notice;
  const isUrgent = priority === "high" || priority === "critical";
  return (
    <li class={isRead ? "notice" : "notice notice-unread"}>
      <div class="notice-head">
        <span class={isUrgent ? `badge badge-${priority}` : "badge"}>
          {isUrgent ? `${KINDS[kind]}, ${priority}` : KINDS[kind]}
        </span>
        {kind !== "announcement" && <span class="hint">{type}</span>}
        {from && <span class="hint">from {from}</span>}
        <time class="hint" dateTime={new Date(timestamp).toISOString()}>
          {when(timestamp)}
        </time>
        {!isRead && <span class="visually-hidden">Unread</span>}
        <span class="spacer" />
        <button type="button" class="button button-quiet" onClick={() => markRead(id, !isRead)}>
          {isRead ? "Mark as unread" : "Mark as read"}
          <span class="visually-hidden">: {message.slice(0, 80)}</span>
        </button>
      </div>
      <p class="notice-message">{message}</p>
    </li>
  );
}
