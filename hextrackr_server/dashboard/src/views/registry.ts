/** The views of the page, in the order of the navigation; each is loaded when it is first shown. */

import type { ComponentType } from "preact";
import type { IconName } from "../components/icon";

export interface View {
  id: string;
  title: string;
  icon: IconName;
  adminOnly?: boolean;
  load: () => Promise<{ default: ComponentType }>;
}

export const VIEWS: readonly View[] = [
  { id: "overview", title: "Overview", icon: "overview", load: () => import("./overview") },
  { id: "imports", title: "Imports", icon: "imports", load: () => import("./imports") },
  { id: "findings", title: "Findings", icon: "findings", load: () => import("./findings") },
  { id: "exploited", title: "Exploited", icon: "exploited", load: () => import("./exploited") },
  { id: "editing", title: "Editing", icon: "editing", load: () => import("./editing") },
  {
    id: "notifications",
    title: "Notifications",
    icon: "notifications",
    load: () => import("./notifications"),
  },
  { id: "admin", title: "Administration", icon: "admin", adminOnly: true, load: () => import("./admin") },
];
