/** Loads and shows the view of the address. */

import { useEffect, useState } from "preact/hooks";
import type { ComponentType } from "preact";
import { address } from "../api";
import { VIEWS } from "../views/registry";
import { route } from "./router";
import { user } from "./session";

const RELOADED = "hextrackr.reloaded";
const RETRY_MILLISECONDS = 1500;

export function ViewHost() {
  const { view: id } = route.value;
  const view = VIEWS.find((each) => each.id === id);
  const [shown, show] = useState<{ id: string; View: ComponentType } | null>(null);
  const [failure, setFailure] = useState<string | null>(null);

  useEffect(() => {
    let isCurrent = true;
    setFailure(null);
    view?.load().then(
      ({ default: View }) => isCurrent && show({ id, View }),
      async () => {
        if (!isCurrent) return;
        setFailure("The server is not reachable. This part of the page loads when it is.");
        await waitForServer(() => isCurrent);
        if (isCurrent && !reloadOnce()) setFailure("This part of the page could not be loaded.");
      },
    );
    document.title = view ? `${view.title} · HexTrackr` : "HexTrackr";
    return () => {
      isCurrent = false;
    };
  }, [id]);

  if (!view || (view.adminOnly && user.value?.isAdmin === false)) {
    return (
      <div class="card">
        <h1>{view ? "For administrators" : "Unknown page"}</h1>
        <p>
          {view ? "This page requires an administrator. " : "There is no page with this address. "}
          <a href="#/overview">Show the overview</a>
        </p>
      </div>
    );
  }
  if (failure !== null) {
    return (
      <div class="note note-error" role="alert">
        {failure}{" "}
        <button type="button" class="button" onClick={() => location.reload()}>
          Load the page again
        </button>
      </div>
    );
  }
  if (shown === null || shown.id !== id) return <p class="hint">Loading {view.title}…</p>;
  return <shown.View />;
}

/** Wait until the server answers: a page that is loaded again without it is lost. */
async function waitForServer(isWaiting: () => boolean): Promise<void> {
  while (isWaiting()) {
    const answer = await fetch(address("health"), { cache: "no-store" }).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
  }
}

/**
 * Load the page again after an update of the server, whose files have other names; once, so that a
 * failure is shown if it stays. Return whether the page is about to load.
 */
function reloadOnce(): boolean {
  const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
  if (!navigator.onLine || Date.now() - last < 60_000) return false;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
  return true;
}
