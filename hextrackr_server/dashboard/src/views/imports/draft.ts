/**
 * The file that the user is about to import: its upload, its inspection, and the start of the import.
 * The draft outlives the view, so that the user may look at other views meanwhile.
 */

import { signal } from "@preact/signals";
import { api, type Upload } from "../../api";
import { announce } from "../../app/announcer";
import { count } from "../../components/format";
import { request } from "../../live";
import type { InspectionAnswer, Scope } from "../../types/hub";

/** A server with other work may read a large file for minutes. */
const INSPECT_SECONDS = 330;

export interface Options {
  vendor: string;
  scanDate: string;
  allowPartial: boolean;
  mapping: string;
}

export const NO_OPTIONS: Options = { vendor: "", scanDate: "", allowPartial: false, mapping: "" };

export type Draft =
  | { phase: "none" }
  | { phase: "uploading"; filename: string; sent: number; total: number; abort: () => void }
  | { phase: "inspecting"; filename: string; abort: () => void }
  | { phase: "failed"; filename: string; error: unknown }
  | {
      phase: "inspected";
      answer: InspectionAnswer;
      options: Options;
      /** A running request, and the failure of the last one. */
      busy: "inspecting" | "starting" | null;
      error: unknown;
    };

export const draft = signal<Draft>({ phase: "none" });

export function choose(file: File): void {
  discard();
  const upload: Upload<InspectionAnswer> = api.upload("api/imports/inspect", file, {}, (sent, total) => {
    if (draft.value.phase !== "uploading") return;
    draft.value =
      sent < total
        ? { ...draft.value, sent, total }
        : { phase: "inspecting", filename: file.name, abort: upload.abort };
  });
  const started: Draft = {
    phase: "uploading",
    filename: file.name,
    sent: 0,
    total: file.size,
    abort: upload.abort,
  };
  draft.value = started;
  const isCurrent = (): boolean =>
    (draft.value.phase === "uploading" || draft.value.phase === "inspecting") &&
    draft.value.abort === upload.abort;
  upload.answer.then(
    (answer) => {
      if (!isCurrent()) return drop(answer.uploadId);
      draft.value = { phase: "inspected", answer, options: NO_OPTIONS, busy: null, error: null };
      announceResult(answer);
    },
    (error: unknown) => {
      if (!isCurrent()) return;
      draft.value = { phase: "failed", filename: file.name, error };
    },
  );
}

/** Inspect the stored file again with other options. */
export async function inspectAgain(options: Options): Promise<void> {
  const former = draft.value;
  if (former.phase !== "inspected" || former.busy !== null) return;
  draft.value = { ...former, busy: "inspecting", error: null };
  const body = {
    vendor: options.vendor || null,
    scanDate: options.scanDate || null,
    mapping: options.mapping || null,
    allowPartial: options.allowPartial,
  };
  try {
    const path = `api/imports/upload/${former.answer.uploadId}/inspect`;
    const answer = await api.post<InspectionAnswer>(path, body, INSPECT_SECONDS);
    if (!isOf(former.answer)) return;
    draft.value = { phase: "inspected", answer, options, busy: null, error: null };
    announceResult(answer);
  } catch (error) {
    if (isOf(former.answer)) draft.value = { ...former, busy: null, error };
  }
}

/** Start the import of the inspected file; return whether the server accepted it. */
export async function start(scope: Scope, confirm: boolean): Promise<boolean> {
  const former = draft.value;
  if (former.phase !== "inspected" || former.busy !== null) return false;
  draft.value = { ...former, busy: "starting", error: null };
  const { vendor, scanDate, mapping, allowPartial } = former.options;
  try {
    await request("start-import", {
      source: "upload",
      uploadId: former.answer.uploadId,
      scope,
      confirm,
      allowPartial,
      vendor: vendor || null,
      scanDate: scanDate || null,
      mapping: mapping || null,
    });
  } catch (error) {
    if (isOf(former.answer)) draft.value = { ...former, busy: null, error };
    return false;
  }
  if (isOf(former.answer)) draft.value = { phase: "none" };
  announce(`The import of ${former.answer.filename} has started`);
  return true;
}

/** Cancel the upload or delete the stored file. */
export function discard(): void {
  const former = draft.value;
  draft.value = { phase: "none" };
  if (former.phase === "uploading" || former.phase === "inspecting") former.abort();
  if (former.phase === "inspected") drop(former.answer.uploadId);
}

function isOf(answer: InspectionAnswer): boolean {
  return draft.value.phase === "inspected" && draft.value.answer.uploadId === answer.uploadId;
}

function drop(uploadId: string): void {
  api.post(`api/imports/upload/${uploadId}/discard`).catch(() => {}); // the server deletes it later
}

function announceResult({ filename, refused, inspection }: InspectionAnswer): void {
  if (inspection === null) announce(`${filename} is refused: ${refused?.message ?? ""}`, true);
  else announce(`${filename} is read: ${inspection.title}, ${count(inspection.findings)} findings`);
}
