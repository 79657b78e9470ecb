/** Light or dark colors: those of the system, unless the user selects others. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];
const KEY = "hextrackr.theme";

function read(): Theme {
  try {
    const stored = localStorage.getItem(KEY) as Theme;
    return THEMES.includes(stored) ? stored : "system";
  } catch {
    return "system";
  }
}

export const theme = signal<Theme>(read());

export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    try {
      localStorage.setItem(KEY, theme.value);
    } catch {
      // storage is disabled: the choice ends with the page
    }
  });
}
