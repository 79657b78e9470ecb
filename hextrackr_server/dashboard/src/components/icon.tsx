/** Line icons on a grid of 24 units; decorative, so that each needs a text next to it. */

const PATHS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  imports: "M12 15V4m0 0L7.5 8.5M12 4l4.5 4.5M4 15v5h16v-5",
  findings: "M4 6h16M4 12h16M4 18h10",
  exploited: "M12 3 2.5 20h19zM12 10v4m0 3v.2",
  editing: "M4 20h4L19 9l-4-4L4 16zM13.5 6.5l4 4",
  notifications: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4",
  admin: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  left: "M15 6l-6 6 6 6",
  right: "M9 6l6 6-6 6",
  theme: "M12 4a8 8 0 1 0 8 8 6 6 0 0 1-8-8z",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-4 4-6 8-6s8 2 8 6",
  check: "M5 13l4 4L19 7",
  download: "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M4 20h16",
  external: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  filter: "M3 5h18l-7 8v6l-4 2v-8z",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v6m0-9.5v.2",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.8"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
