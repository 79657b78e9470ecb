/** Warnings and rejected rows, by kind and one by one; all texts are those of the file or the server. */

import { count } from "../../components/format";
import { TableHead } from "../../components/table";
import type { RowProblem, FileWarning, WarningCount } from "../../types/hub";

interface ProblemsProps {
  errors: number;
  errorDetails: readonly RowProblem[];
  warnings: number;
  kinds: readonly WarningCount[];
  warningDetails: readonly FileWarning[];
}

/** Rejected rows and warnings of a file, or of an import of it. */
export function Problems({ errors, errorDetails, warnings, kinds, warningDetails }: ProblemsProps) {
  return (
    <>
      {errors > 0 && (
        <Part
          title="Rejected rows"
          total={errors}
          kinds={kindsOf(errorDetails)}
          note={
            errorDetails.length < errors ? `Counted in the first ${count(errorDetails.length)} rejected rows` : ""
          }
          details={errorDetails}
        />
      )}
      {warnings > 0 && <Part title="Warnings" total={warnings} kinds={kinds} details={warningDetails} />}
    </>
  );
}

/** The server sends the first rejected rows; their kinds are counted here. */
function kindsOf(details: readonly RowProblem[]): WarningCount[] {
  const kinds = new Map<string, WarningCount>();
  for (const { column, message } of details) {
    const key = `${column}\n${message}`;
    const kind = kinds.get(key) ?? { column, message, count: 0 };
    kinds.set(key, { ...kind, count: kind.count + 1 });
  }
  return [...kinds.values()].sort((one, other) => other.count - one.count);
}

interface PartProps {
  title: string;
  total: number;
  kinds: readonly WarningCount[];
  note?: string;
  details: readonly (RowProblem | FileWarning)[];
}

function Part({ title, total, kinds, note = "", details }: PartProps) {
  const isPartial = details.length < total;
  return (
    <details class="part" open>
      <summary>
        {title} ({count(total)})
      </summary>
      {kinds.length > 0 && <Kinds title={title} kinds={kinds} note={note} />}
      {details.length > 0 && (
        <details class="part">
          <summary>{isPartial ? `The first ${count(details.length)} one by one` : "One by one"}</summary>
          <Details title={title} details={details} />
        </details>
      )}
    </details>
  );
}

function Kinds({ title, kinds, note }: { title: string; kinds: readonly WarningCount[]; note: string }) {
  return (
    <div class="table-scroll">
      <table class="table" aria-label={`${title} by kind`}>
        {note !== "" && <caption>{note}</caption>}
        <TableHead columns={[{ number: "Number" }, "Column", "Problem"]} />
        <tbody>
          {kinds.map((kind) => (
            <tr key={`${kind.column}\n${kind.message}`}>
              <td class="number">{count(kind.count)}</td>
              <td class="cut mono">{kind.column || "–"}</td>
              <td class="cut">{kind.message}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Details({ title, details }: Pick<PartProps, "title" | "details">) {
  return (
    <div class="table-scroll limited" role="region" aria-label={`${title} one by one`} tabIndex={0}>
      <table class="table">
        <TableHead columns={[{ number: "Row" }, "Column", "Value", "Problem"]} />
        <tbody>
          {details.map(({ row, column, value, message }, index) => (
            <tr key={index}>
              <td class="number">{row === null ? "all" : count(row)}</td>
              <td class="cut mono">{column || "–"}</td>
              <td class="cut mono">{value || "–"}</td>
              <td class="cut">{message}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
