/** Parts of tables and lists: the titles of columns, and the pager below a list. */

import { count } from "./format";

/** The title of a column; `number` aligns it with numbers, `hidden` shows it to screen readers only. */
export type Column = string | { number: string } | { hidden: string } | false;

export function TableHead({ columns }: { columns: readonly Column[] }) {
  return (
    <thead>
      <tr>{columns.map((column, index) => column && <Title key={index} column={column} />)}</tr>
    </thead>
  );
}

function Title({ column }: { column: Exclude<Column, false> }) {
  if (typeof column === "string") return <th scope="col">{column}</th>;
  if ("number" in column) {
    return (
      <th scope="col" class="number">
        {column.number}
      </th>
    );
  }
  return (
    <th scope="col">
      <span class="visually-hidden">{column.hidden}</span>
    </th>
  );
}

interface PagerProps {
  list: string;
  page: number;
  pages: number;
  onPage: (page: number) => void;
  /** The labels of the buttons. */
  labels?: readonly [string, string];
}

/** Nothing for a list of one page. */
export function Pager({ list, page, pages, onPage, labels = ["Previous", "Next"] }: PagerProps) {
  if (pages <= 1) return null;
  return (
    <nav class="pager" aria-label={`Pages of ${list}`}>
      <button type="button" class="button" disabled={page <= 1} onClick={() => onPage(page - 1)}>
        {labels[0]}
      </button>
      <span>
        Page {count(page)} of {count(pages)}
      </span>
      <button type="button" class="button" disabled={page >= pages} onClick={() => onPage(page + 1)}>
        {labels[1]}
      </button>
    </nav>
  );
}
