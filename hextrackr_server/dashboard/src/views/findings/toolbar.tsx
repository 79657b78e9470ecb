/** The filters of the table; each change is part of the address. */

import { useEffect, useState } from "preact/hooks";
import { setParameters } from "../../app/router";
import { Icon } from "../../components/icon";
import { useMedia } from "../../components/media";
import { SEVERITIES } from "../../components/severity";
import { list, request, useQuery } from "../../live";
import type { StatisticsAnswer } from "../../types/events";
import { countFilters, STATES, type Filters } from "./filters";

const TYPING_MILLISECONDS = 350;

export function Toolbar({ filters, children }: { filters: Filters; children: preact.ComponentChildren }) {
  const sources = useQuery(() => list("sources"));
  const vendors = useQuery(() => request<StatisticsAnswer>("get-vulnerability-stats", {}));
  const isNarrow = useMedia("(width < 48rem)");
  const [isOpen, setOpen] = useState(false);
  const narrowed = countFilters(filters);
  return (
    <div class={isOpen ? "toolbar open" : "toolbar"} role="search" aria-label="Filters of findings">
      <TextFilter name="search" label="Search" value={filters.search} hint="Host, CVE, name, text" wide />
      {isNarrow && (
        <button type="button" class="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name="filter" /> {narrowed > 0 ? `Filters (${narrowed})` : "Filters"}
        </button>
      )}
      <TextFilter name="host" label="Host" value={filters.host} hint="fw* or 10.0.*" />
      <TextFilter name="cve" label="CVE" value={filters.cve} hint="CVE-2024-1000" />
      <Choice
        name="state"
        label="State"
        value={filters.state}
        options={STATES.map((each) => ({ value: each === "open" ? "" : each, title: each }))}
      />
      <Choice
        name="vendor"
        label="Vendor"
        value={filters.vendor}
        options={withAll(vendors.data.value?.data.vendors.map(({ vendor }) => ({ value: vendor, title: vendor })))}
      />
      <Choice
        name="source"
        label="Source"
        value={filters.source}
        options={withAll(sources.data.value?.data.map(({ source, title }) => ({ value: source, title })))}
      />
      <fieldset class="toggles">
        <legend>Severity</legend>
        {SEVERITIES.map((each) => (
          <Toggle key={each} name={each} selected={filters.severity} />
        ))}
        <label class="toggle">
          <input
            type="checkbox"
            checked={filters.isKev}
            onChange={({ currentTarget }) => setParameters({ isKev: currentTarget.checked ? "true" : "" })}
          />
          <span>Exploited</span>
        </label>
      </fieldset>
      {narrowed > 0 && (
        <button type="button" class="button button-quiet" onClick={reset}>
          Reset filters
        </button>
      )}
      <span class="spacer" />
      {children}
    </div>
  );
}

function reset(): void {
  const names = ["search", "host", "cve", "state", "vendor", "source", "severity", "isKev"];
  setParameters(Object.fromEntries(names.map((name) => [name, ""])));
}

function withAll(options: Option[] = []): Option[] {
  return [{ value: "", title: "All" }, ...options];
}

interface TextProps {
  name: string;
  label: string;
  value: string;
  hint: string;
  wide?: boolean;
}

function TextFilter({ name, label, value, hint, wide = false }: TextProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => setParameters({ [name]: text.trim() }), TYPING_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class={wide ? "field field-wide" : "field"}>
      <span>{label}</span>
      <input
        type="search"
        value={text}
        placeholder={hint}
        maxLength={200}
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}

interface Option {
  value: string;
  title: string;
}

interface ChoiceProps {
  name: string;
  label: string;
  value: string;
  options: Option[];
}

function Choice({ name, label, value, options }: ChoiceProps) {
  const selected = options.find((each) => each.value === value || each.title === value)?.value ?? value;
  // A value of the address that is not (yet) in the list.
  const all = options.some((each) => each.value === selected)
    ? options
    : [...options, { value: selected, title: selected }];
  return (
    <label class="field">
      <span>{label}</span>
      <select value={selected} onChange={(event) => setParameters({ [name]: event.currentTarget.value })}>
        {all.map((each) => (
          <option key={each.value} value={each.value}>
            {each.title[0]!.toUpperCase() + each.title.slice(1)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Toggle({ name, selected }: { name: string; selected: string[] }) {
  const value = name.toLowerCase();
  const isOn = selected.includes(value);
  const change = (): void => {
    const next = isOn ? selected.filter((each) => each !== value) : [...selected, value];
    setParameters({ severity: next.join(",") });
  };
  return (
    <label class="toggle">
      <input type="checkbox" checked={isOn} onChange={change} />
      <span>{name}</span>
    </label>
  );
}
