/**
 * The table: a grid of which only the visible rows exist. The focus stays on the grid, whose
 * `aria-activedescendant` names the active row, because rows come and go while the user scrolls.
 */

import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../../components/icon";
import { useMedia } from "../../components/media";
import { useVirtualRows } from "../../components/virtual_rows";
import { editorsByResource, keyOf } from "../../live/presence";
import type { Vulnerability as Finding } from "../../types/events";
import { COLUMNS, type Column } from "./columns";
import { nextSort } from "./filters";
import type { Pages } from "./pages";

const HEAD = 34;
/** Heights of a row with one line, and with two on a phone, as in style.css. */
export const ROW = 34;
const TALL_ROW = 60;
const FLASH_MILLISECONDS = 4000;

export interface TableProps {
  pages: Pages<Finding>;
  sort: string;
  onSort: (sort: string) => void;
  selected: number | null;
  /** `isFinal`: the user opens the finding, instead of moving through the list. */
  onSelect: (id: number, isFinal: boolean) => void;
  active: number;
  onActive: (index: number) => void;
}

export function FindingTable(props: TableProps) {
  const { pages, sort, onSort, selected, onSelect, onActive } = props;
  const grid = useRef<HTMLDivElement>(null);
  const isNarrow = useMedia("(width < 48rem)");
  const total = pages.total.value ?? 0;
  const version = pages.version.value;
  const height = isNarrow ? TALL_ROW : ROW;
  const rows = useVirtualRows(grid, total, height, HEAD);
  // A list that became shorter keeps an active row.
  const active = Math.max(0, Math.min(props.active, rows.shown - 1));
  const first = rows.items[0]?.index ?? 0;
  const last = rows.items.at(-1)?.index ?? 0;

  // A list that flies by is not loaded: only rows that stay visible for a moment are.
  useEffect(() => {
    const timer = setTimeout(() => pages.show(first, last), pages.total.peek() === null ? 0 : 80);
    return () => clearTimeout(timer);
  }, [pages, first, last, version]);

  const move = (index: number): void => {
    const next = Math.max(0, Math.min(rows.shown - 1, index));
    onActive(next);
    rows.scrollTo(next);
    const finding = pages.row(next);
    if (finding && selected !== null) onSelect(finding.id, false);
  };
  const perPage = Math.max(1, Math.floor(((grid.current?.clientHeight ?? 0) - HEAD) / height) - 1);
  const keys: Record<string, () => void> = {
    ArrowDown: () => move(active + 1),
    ArrowUp: () => move(active - 1),
    PageDown: () => move(active + perPage),
    PageUp: () => move(active - perPage),
    Home: () => move(0),
    End: () => move(rows.shown - 1),
    Enter: () => {
      const finding = pages.row(active);
      if (finding) onSelect(finding.id, true);
    },
  };
  const isRendered = active >= first && active <= last && pages.row(active) !== undefined;

  return (
    <div
      class="finding-grid"
      role="grid"
      aria-label="Findings"
      aria-rowcount={total + 1}
      aria-colcount={COLUMNS.length}
      aria-busy={pages.loading.value}
      aria-activedescendant={isRendered ? `finding-row-${active}` : undefined}
      tabIndex={0}
      ref={grid}
      onKeyDown={(event) => {
        const act = keys[event.key];
        // Buttons in the head keep their own keys.
        if (act === undefined || event.target !== grid.current || event.altKey || event.ctrlKey || event.metaKey) {
          return;
        }
        event.preventDefault();
        act();
      }}
    >
      <div role="rowgroup" class="finding-head">
        <div role="row" aria-rowindex={1} class="finding-row">
          {COLUMNS.map((column, index) => (
            <Heading key={column.id} column={column} index={index} sort={sort} onSort={onSort} />
          ))}
        </div>
      </div>
      <div role="rowgroup" class="finding-body" style={{ height: `${rows.height}px` }}>
        {rows.items.map(({ index, start }) => (
          <Row
            key={index}
            index={index}
            top={start}
            finding={pages.row(index)}
            isActive={index === active}
            selected={selected}
            isChanged={isChanged(pages, index)}
            onClick={(finding) => {
              onActive(index);
              onSelect(finding.id, true);
            }}
          />
        ))}
      </div>
    </div>
  );
}

function isChanged(pages: Pages<Finding>, index: number): boolean {
  const finding = pages.row(index);
  const since = finding === undefined ? null : pages.sinceChange(finding.id);
  return since !== null && since < FLASH_MILLISECONDS;
}

interface HeadingProps {
  column: Column;
  index: number;
  sort: string;
  onSort: (sort: string) => void;
}

function Heading({ column, index, sort, onSort }: HeadingProps) {
  const { id, title, descendingFirst = false, isNumber } = column;
  const direction = sort === column.sort ? "ascending" : sort === `-${column.sort}` ? "descending" : "none";
  return (
    <div
      role="columnheader"
      aria-colindex={index + 1}
      aria-sort={direction}
      class={`cell-${id}${isNumber ? " number" : ""}`}
    >
      <button type="button" class="sort" onClick={() => onSort(nextSort(sort, column.sort!, descendingFirst))}>
        {title}
        {direction !== "none" && <Icon name={direction === "ascending" ? "up" : "down"} size={12} />}
      </button>
    </div>
  );
}

interface RowProps {
  index: number;
  top: number;
  finding: Finding | undefined;
  isActive: boolean;
  selected: number | null;
  isChanged: boolean;
  onClick: (finding: Finding) => void;
}

function Row({ index, top, finding, isActive, selected, isChanged, onClick }: RowProps) {
  const place = { transform: `translateY(${top}px)` };
  if (finding === undefined) {
    return (
      <div role="row" aria-rowindex={index + 2} class="finding-row finding-row-empty" style={place}>
        <div role="gridcell" class="hint">
          Loading…
        </div>
      </div>
    );
  }
  const editors = editorsByResource.value.get(keyOf("vulnerability", finding.id));
  const classes = ["finding-row"];
  if (isActive) classes.push("active");
  if (isChanged) classes.push("changed");
  return (
    <div
      role="row"
      id={`finding-row-${index}`}
      aria-rowindex={index + 2}
      aria-selected={finding.id === selected}
      class={classes.join(" ")}
      style={place}
      onClick={() => onClick(finding)}
    >
      {COLUMNS.map(({ id, cell, isNumber }, column) => (
        <div
          key={id}
          role="gridcell"
          aria-colindex={column + 1}
          class={`cell-${id}${isNumber ? " number" : ""}`}
        >
          {id === "name" && editors !== undefined && (
            <span class="badge badge-editing">{editors.map(({ username }) => username).join(", ")} editing</span>
          )}
          {cell(finding)}
        </div>
      ))}
    </div>
  );
}
