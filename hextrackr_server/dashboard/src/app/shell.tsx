/** The frame of the page: header, navigation, state of the connection, and the view. */

import { useEffect, useRef, useState } from "preact/hooks";
import { token } from "../api";
import { connection } from "../live";
import { unread } from "../live/notices";
import { Icon } from "../components/icon";
import { VIEWS } from "../views/registry";
import { Announcer } from "./announcer";
import { NoticeBanners } from "./notice_banners";
import { link, route } from "./router";
import { signOut, user } from "./session";
import { SignIn } from "./sign_in";
import { ConnectionBadge, ConnectionBanner } from "./status";
import { theme, THEMES, type Theme } from "./theme";
import { ViewHost } from "./view_host";

export function Shell() {
  const [menuOpen, setMenuOpen] = useState(false);
  const content = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const { view } = route.value;
  const isSignedOut = connection.value.phase === "refused";

  useEffect(() => {
    setMenuOpen(false);
    // After navigation, keyboard and screen reader continue at the new content.
    if (!isFirst.current) content.current?.focus({ preventScroll: true });
    isFirst.current = false;
    scrollTo(0, 0);
  }, [view]);

  return (
    <div class="shell" onKeyDown={(event) => event.key === "Escape" && setMenuOpen(false)}>
      <a
        class="skip-link"
        href="#content"
        onClick={(event) => {
          event.preventDefault(); // the fragment is the address of the view
          content.current?.focus();
        }}
      >
        Skip to content
      </a>
      <Announcer />
      <header class="topbar">
        {!isSignedOut && (
          <button
            type="button"
            class="button button-icon menu-button"
            aria-expanded={menuOpen}
            aria-controls="navigation"
            onClick={() => setMenuOpen(!menuOpen)}
          >
            <Icon name={menuOpen ? "close" : "menu"} />
            <span class="visually-hidden">Menu</span>
          </button>
        )}
        <strong class="brand">HexTrackr</strong>
        <ConnectionBadge />
        <span class="spacer" />
        <ThemeChoice />
        {user.value !== null && <Account />}
      </header>
      {!isSignedOut && <Navigation open={menuOpen} view={view} />}
      <main class="content" id="content" tabIndex={-1} ref={content}>
        <ConnectionBanner />
        {!isSignedOut && <NoticeBanners />}
        {isSignedOut ? <SignIn /> : <ViewHost />}
      </main>
    </div>
  );
}

function Navigation({ open, view }: { open: boolean; view: string }) {
  const isAdmin = user.value?.isAdmin ?? false;
  return (
    <nav id="navigation" class={open ? "navigation open" : "navigation"} aria-label="Pages">
      <ul>
        {VIEWS.filter((each) => isAdmin || !each.adminOnly).map(({ id, title, icon }) => (
          <li key={id}>
            <a href={link(id)} aria-current={id === view ? "page" : undefined}>
              <Icon name={icon} />
              <span>{title}</span>
              {id === "notifications" && unread.value > 0 && (
                <span class="badge count">
                  {unread.value}
                  <span class="visually-hidden"> unread</span>
                </span>
              )}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function ThemeChoice() {
  return (
    <label class="theme-choice">
      <span class="visually-hidden">Colors</span>
      <Icon name="theme" />
      <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
        {THEMES.map((each) => (
          <option key={each} value={each}>
            {each[0]!.toUpperCase() + each.slice(1)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Account() {
  const { username, role } = user.value!;
  return (
    <span class="account">
      <span class="account-name" title={`Role: ${role}`}>
        <Icon name="user" />
        {username}
      </span>
      {token.value !== null && (
        <button type="button" class="button button-quiet" onClick={signOut}>
          Sign out
        </button>
      )}
    </span>
  );
}
