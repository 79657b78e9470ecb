/** Lists of the hub by `get-data`, with the types of their rows. */

import type {
  Device,
  ImportEntry,
  ImportJob,
  KevEntry,
  Pagination,
  ResourceEditor,
  Source,
  Ticket,
  TrendDay,
  Vulnerability,
} from "../types/events";
import { hub } from "./connection";

export interface Rows {
  findings: Vulnerability;
  devices: Device;
  imports: ImportJob;
  progress: ImportEntry;
  sources: Source;
  kev: KevEntry;
  tickets: Ticket;
  trends: TrendDay;
  editors: ResourceEditor;
}

export interface ListOptions {
  filters?: Record<string, unknown>;
  page?: number;
  limit?: number;
  sort?: string;
}

export interface List<Row> {
  data: Row[];
  pagination: Pagination;
}

/** Return a page of a list. */
export function list<R extends keyof Rows>(resource: R, options: ListOptions = {}): Promise<List<Rows[R]>> {
  return hub.request<List<Rows[R]>>("get-data", { resource, ...options });
}
