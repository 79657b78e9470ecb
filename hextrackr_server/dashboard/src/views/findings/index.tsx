/** The findings: a table with filters, sorting and live changes, and the details of one finding. */

import { useEffect, useRef, useState } from "preact/hooks";
import "./style.css";
import { api, explain } from "../../api";
import { announce } from "../../app/announcer";
import { route, setParameters } from "../../app/router";
import { count, counted } from "../../components/format";
import { Icon } from "../../components/icon";
import { lazy } from "../../components/lazy";
import { useMedia } from "../../components/media";
import { toast } from "../../components/toast";
import { mostRows } from "../../components/virtual_rows";
import type { Vulnerability as Finding } from "../../types/events";
import { Detail } from "./detail";
import { countFilters, DEFAULT_SORT, readFilters, toQuery, type Filters } from "./filters";
import { openList } from "./list";
import type { Pages } from "./pages";
import { FindingTable, ROW } from "./table";
import { Toolbar } from "./toolbar";

const Dialog = lazy(() => import("../../components/dialog").then((module) => module.Dialog));

export default function Findings() {
  const { parameters } = route.value;
  const filters = readFilters(parameters);
  const sort = parameters.get("sort") || DEFAULT_SORT;
  const selected = Number(parameters.get("finding")) || null;
  const pages = useList(filters, sort);
  const [active, setActive] = useState(0);
  const isWide = useMedia("(width >= 80rem)");
  const panel = useRef<HTMLElement>(null);

  const select = (id: number, isFinal: boolean): void => {
    setParameters({ finding: String(id) });
    if (isFinal) requestAnimationFrame(() => panel.current?.focus());
  };
  const close = (): void => {
    setParameters({ finding: "" });
    document.querySelector<HTMLElement>(".finding-grid")?.focus();
  };

  return (
    <div class="findings">
      <div class="findings-head">
        <h1>Findings</h1>
        <Total pages={pages} filters={filters} />
      </div>
      <Toolbar filters={filters}>
        <Export filters={filters} />
      </Toolbar>
      {pages.error.value !== null && (
        <p class="note note-error" role="alert">
          {explain(pages.error.value)}{" "}
          <button type="button" class="button" onClick={() => pages.invalidate()}>
            Try again
          </button>
        </p>
      )}
      <div class="findings-body">
        <FindingTable
          pages={pages}
          sort={sort}
          onSort={(next) => setParameters({ sort: next === DEFAULT_SORT ? "" : next })}
          selected={selected}
          onSelect={select}
          active={active}
          onActive={setActive}
        />
        {isWide && selected !== null && (
          <aside
            class="card findings-panel"
            aria-label="Finding"
            tabIndex={-1}
            ref={panel}
            onKeyDown={(event) => event.key === "Escape" && close()}
          >
            <header class="dialog-header">
              <h2>Finding {selected}</h2>
              <button type="button" class="button button-icon" aria-label="Close" onClick={close}>
                <Icon name="close" />
              </button>
            </header>
            <Detail id={selected} />
          </aside>
        )}
      </div>
      {!isWide && selected !== null && (
        <Dialog title={`Finding ${selected}`} kind="panel" open onClose={close}>
          <Detail id={selected} />
        </Dialog>
      )}
    </div>
  );
}

/** Return the list for filters and sort order; the former list until the first answer. */
function useList(filters: Filters, sort: string): Pages<Finding> {
  const key = JSON.stringify([filters, sort]);
  const [list, setList] = useState(() => ({ key, ...openList(filters, sort) }));
  useEffect(() => {
    if (key === list.key) return undefined;
    const next = { key, ...openList(filters, sort) };
    let isShown = false;
    const show = (): void => {
      if (isShown || (next.pages.total.value === null && next.pages.error.value === null)) return;
      isShown = true;
      list.close();
      setList(next);
    };
    const ends = [next.pages.total.subscribe(show), next.pages.error.subscribe(show)];
    return () => {
      for (const end of ends) end();
      if (!isShown) next.close(); // the filters changed again
    };
  }, [key]);
  const current = useRef(list);
  current.current = list;
  useEffect(() => () => current.current.close(), []);
  return list.pages;
}

function Total({ pages, filters }: { pages: Pages<Finding>; filters: Filters }) {
  const total = pages.total.value;
  const text = total === null ? "Loading…" : counted(total, "finding");
  useEffect(() => {
    if (total !== null) announce(text);
  }, [total]);
  const narrowed = countFilters(filters);
  return (
    <span class="hint" data-testid="finding-count">
      {text}
      {narrowed > 0 && total !== null && ` with ${counted(narrowed, "filter")}`}
      {total !== null && total > mostRows(ROW) && `; the table shows the first ${count(mostRows(ROW))}`}
    </span>
  );
}

function Export({ filters }: { filters: Filters }) {
  const [isRunning, setRunning] = useState(false);
  const run = (): void => {
    const query = new URLSearchParams(toQuery(filters));
    setRunning(true);
    api
      .download(`api/findings/export?${query}`, "findings.csv")
      .catch((error: unknown) => toast({ title: "The export failed", description: explain(error), kind: "error" }))
      .finally(() => setRunning(false));
  };
  return (
    <button type="button" class="button" disabled={isRunning} onClick={run}>
      <Icon name="download" /> {isRunning ? "Exporting…" : "Export CSV"}
    </button>
  );
}
