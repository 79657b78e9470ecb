/** Undo of the last import of a source, for administrators. */

import { useState } from "preact/hooks";
import { api } from "../../api";
import { announce } from "../../app/announcer";
import { Dialog } from "../../components/dialog";
import { Problem } from "../../components/problem";
import { request, useQuery } from "../../live";

const EVENTS = ["import-undone", "import-completed", "import-finished", "vulnerability-change"];

/** Return the numbers of the imports that can be undone now. */
export function useUndoable(isAdmin: boolean): ReadonlySet<number> {
  const query = useQuery(
    async () =>
      isAdmin
        ? (await api.get<{ imports: { import_id: number }[] }>("api/imports/undoable")).imports
        : [],
    { events: EVENTS },
    [isAdmin],
  );
  return new Set((query.data.value ?? []).map((each) => each.import_id));
}

export function UndoButton({ importId, filename }: { importId: number; filename: string }) {
  const [isOpen, setOpen] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const undo = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const { deleted, restored } = await request<{ deleted: number; restored: number }>("undo-import", importId);
      announce(`Import ${importId} is undone: ${deleted} findings deleted, ${restored} restored`);
      setOpen(false);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class="button"
        aria-label={`Undo import ${importId}`}
        onClick={() => {
          setError(null);
          setOpen(true);
        }}
      >
        Undo
      </button>
      <Dialog title={`Undo import ${importId}?`} open={isOpen} onClose={() => setOpen(false)}>
        <p>
          The findings become as they were before the import of <strong class="cut">{filename}</strong>: the
          server deletes the findings that the import created, and restores all others.
        </p>
        <Problem of={error} />
        <div class="toolbar">
          <button type="button" class="button button-danger" disabled={isBusy} onClick={undo}>
            {isBusy ? "Undoing…" : "Undo the import"}
          </button>
          <button type="button" class="button" onClick={() => setOpen(false)}>
            Keep the import
          </button>
        </div>
      </Dialog>
    </>
  );
}
