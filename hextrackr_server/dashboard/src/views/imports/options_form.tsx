/** Options with which the server reads the stored file again. */

import { useState } from "preact/hooks";
import { inspectAgain, type Draft, type Options } from "./draft";

export function OptionsForm({ draft }: { draft: Extract<Draft, { phase: "inspected" }> }) {
  const [options, setOptions] = useState<Options>(draft.options);
  const change = (part: Partial<Options>): void => setOptions({ ...options, ...part });
  const isChanged = JSON.stringify(options) !== JSON.stringify(draft.options);
  const isRefused = draft.answer.inspection === null;
  return (
    <details class="part" open={isRefused}>
      <summary>Options of reading</summary>
      <form
        class="options"
        onSubmit={(event) => {
          event.preventDefault();
          void inspectAgain(options);
        }}
      >
        <div class="toolbar">
          <label class="field">
            <span>Scan date</span>
            <input
              type="date"
              value={options.scanDate}
              onInput={(event) => change({ scanDate: event.currentTarget.value })}
            />
          </label>
          <label class="field">
            <span>Vendor, where the file has none</span>
            <input
              maxLength={64}
              value={options.vendor}
              onInput={(event) => change({ vendor: event.currentTarget.value })}
            />
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={options.allowPartial}
              onChange={(event) => change({ allowPartial: event.currentTarget.checked })}
            />
            Read a file that breaks off
          </label>
        </div>
        <label class="field">
          <span>Mapping of the columns (TOML), for a CSV file of another tool</span>
          <textarea
            rows={options.mapping || isRefused ? 8 : 2}
            spellcheck={false}
            class="mono"
            placeholder={'id = "my_tool"\ntitle = "My tool"\nrow = "finding"\n\n[columns]\nhost = ["Server"]\ncve = ["CVE"]'}
            value={options.mapping}
            onInput={(event) => change({ mapping: event.currentTarget.value })}
          />
        </label>
        <div>
          <button type="submit" class="button" disabled={!isChanged || draft.busy !== null}>
            {draft.busy === "inspecting" ? "Reading the file…" : "Read the file again"}
          </button>
        </div>
      </form>
    </details>
  );
}
