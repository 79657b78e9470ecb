/** Administration: announcements, maintenance, the KEV catalog, live metrics and connected clients. */

import { useEffect } from "preact/hooks";
import { openAdmin } from "../../live";
import { Announcement } from "./announcement";
import { Clients } from "./clients";
import { KevSync } from "./kev_sync";
import { Maintenance } from "./maintenance";
import { LiveMetrics } from "./metrics";
import "./style.css";

export default function Admin() {
  useEffect(() => void openAdmin(), []);
  return (
    <>
      <h1>Administration</h1>
      <div class="admin-grid">
        <Announcement />
        <Maintenance />
        <KevSync />
      </div>
      <LiveMetrics />
      <Clients />
    </>
  );
}
