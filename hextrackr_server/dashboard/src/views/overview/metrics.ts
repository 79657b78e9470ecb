/** The numbers that both charts show, and the look of a severity. */

import { lazy } from "../../components/lazy";
import { count } from "../../components/format";

export const Chart = lazy(() => import("../../components/chart").then((module) => module.default));

export const SEVERITIES = ["Critical", "High", "Medium", "Low"] as const;
export type SeverityName = (typeof SEVERITIES)[number];

/** Return the name of a severity as filters and statistics have it. */
export const keyOf = (severity: SeverityName): Lowercase<SeverityName> =>
  severity.toLowerCase() as Lowercase<SeverityName>;

/** Dashes distinguish the lines without their colors. */
export const LOOKS: Record<SeverityName, { color: string; dash?: number[] }> = {
  Critical: { color: "--chart-critical" },
  High: { color: "--chart-high", dash: [10, 4] },
  Medium: { color: "--chart-medium", dash: [5, 3] },
  Low: { color: "--chart-low", dash: [2, 3] },
};

export type Metric = "count" | "total_vpr";

export const METRICS: readonly { id: Metric; title: string }[] = [
  { id: "count", title: "Number" },
  { id: "total_vpr", title: "Total VPR" },
];

export const metricTitle = (metric: Metric): string =>
  metric === "count" ? "open vulnerabilities" : "total VPR of open vulnerabilities";

export const metricText = (value: number): string => count(Math.round(value));
