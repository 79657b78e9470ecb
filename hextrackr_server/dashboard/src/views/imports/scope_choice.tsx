/** The choice of the findings that the import resolves because the file does not contain them. */

import { count, counted } from "../../components/format";
import type { Inspection, Scope } from "../../types/hub";
import { SCOPES } from "./texts";

interface Props {
  absence: Inspection["absence"];
  scope: Scope;
  isConfirmed: boolean;
  onScope: (scope: Scope) => void;
  onConfirm: (isConfirmed: boolean) => void;
}

export function ScopeChoice({ absence, scope, isConfirmed, onScope, onConfirm }: Props) {
  const chosen = absence[scope];
  return (
    <fieldset class="scopes">
      <legend>Missing findings that the import resolves</legend>
      {SCOPES.map(({ id, title, text }) => {
        const { missing, confirmationRequired } = absence[id];
        return (
          <label key={id} class={id === scope ? "scope chosen" : "scope"}>
            <input type="radio" name="scope" checked={id === scope} onChange={() => onScope(id)} />
            <span class="scope-text">
              <strong>{title}</strong>
              <span class="hint">{text}</span>
            </span>
            <span class="scope-number">
              <span>
                <strong>{count(missing)}</strong>{" "}
                <span class="hint">{missing === 1 ? "finding" : "findings"}</span>
              </span>
              {confirmationRequired && <span class="badge badge-medium">needs a confirmation</span>}
            </span>
          </label>
        );
      })}
      <div aria-live="polite">
        <Effect absence={chosen} isConfirmed={isConfirmed} onConfirm={onConfirm} />
      </div>
    </fieldset>
  );
}

interface EffectProps {
  absence: Inspection["absence"][Scope];
  isConfirmed: boolean;
  onConfirm: (isConfirmed: boolean) => void;
}

function Effect({ absence, isConfirmed, onConfirm }: EffectProps) {
  const { missing, withheld, openInScope, openOfAll, namedHosts, confirmationRequired, reason } = absence;
  if (reason) return <p class="hint">No missing finding is resolved: {reason}.</p>;
  const kept = withheld > 0 && (
    <p class="hint">
      {counted(withheld, "missing finding")} {withheld === 1 ? "stays" : "stay"} open, because a row without
      a finding may refer to {withheld === 1 ? "it" : "them"}.
    </p>
  );
  if (!confirmationRequired) {
    if (missing === 0) return kept || null;
    return (
      <>
        <p class="hint">
          The file lacks {count(missing)} of {counted(openInScope, "open finding")} in this scope.
        </p>
        {kept}
      </>
    );
  }
  return (
    <div class="note note-warning confirmation">
      <p>
        The file lacks {count(missing)} of {counted(openInScope, "open finding")} in this scope ({count(openOfAll)}{" "}
        in all, {counted(namedHosts, "host")} in the file). Without a confirmation, the import resolves none of
        them.
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={isConfirmed}
          onChange={(event) => onConfirm(event.currentTarget.checked)}
        />
        The file is complete: resolve {counted(missing, "finding")}
      </label>
      {kept}
    </div>
  );
}
