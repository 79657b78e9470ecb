/** The place to drop a file, with a button for the keyboard, and the progress of the upload. */

import { useRef, useState } from "preact/hooks";
import { explain } from "../../api";
import { Icon } from "../../components/icon";
import { ProgressBar } from "../../components/progress_bar";
import { choose, discard, draft } from "./draft";
import { bytes } from "./texts";

const TYPES = ".csv,.tsv,.txt,.xml,.nessus";

export function DropZone() {
  const [isOver, setOver] = useState(false);
  const [ignored, setIgnored] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const state = draft.value;

  const take = (files: FileList | null | undefined): void => {
    const [first] = files ?? [];
    setIgnored(Math.max(0, (files?.length ?? 0) - 1));
    if (first !== undefined) choose(first);
  };

  if (state.phase === "uploading" || state.phase === "inspecting") {
    const isUploading = state.phase === "uploading";
    const value = isUploading && state.total ? (100 * state.sent) / state.total : null;
    return (
      <section class="card" aria-labelledby="upload-title">
        <div class="card-header">
          <h2 id="upload-title">
            {isUploading ? "Uploading" : "Reading"} {state.filename}
          </h2>
          <button type="button" class="button" onClick={discard}>
            Cancel the upload
          </button>
        </div>
        <ProgressBar label={isUploading ? "Upload" : "Inspection"} value={value} />
        <p class="hint">
          {isUploading
            ? `${bytes(state.sent)} of ${bytes(state.total)}`
            : "The server reads the file and compares it with the database. Nothing is changed yet."}
        </p>
      </section>
    );
  }

  return (
    <section class="card" aria-labelledby="upload-title">
      <h2 id="upload-title">Import a file</h2>
      {state.phase === "failed" && (
        <p class="note note-error" role="alert">
          <strong class="cut">{state.filename}</strong> is not imported. {explain(state.error)}
        </p>
      )}
      <div
        class={isOver ? "drop-zone over" : "drop-zone"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          take(event.dataTransfer?.files);
        }}
      >
        <Icon name="imports" size={28} />
        <p>
          Drop an export of a scanner here, or{" "}
          <button type="button" class="button" onClick={() => input.current?.click()}>
            Choose a file
          </button>
        </p>
        <p class="hint">
          CSV, Nessus and XML reports. The page shows how the file is read before anything is imported.
        </p>
        <input
          ref={input}
          class="visually-hidden"
          type="file"
          accept={TYPES}
          tabIndex={-1}
          aria-label="File of a scanner"
          onChange={(event) => {
            take(event.currentTarget.files);
            event.currentTarget.value = ""; // the same file may be chosen again
          }}
        />
      </div>
      {ignored > 0 && (
        <p class="note note-warning" role="status">
          One file at a time: {ignored} {ignored === 1 ? "other file was" : "other files were"} not used.
        </p>
      )}
    </section>
  );
}
