/** The form for a token, while the server refuses the login. */

import { useEffect, useRef, useState } from "preact/hooks";
import { connection } from "../live";
import { signIn } from "./session";

export function SignIn() {
  const [text, setText] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const { reason } = connection.value;
  useEffect(() => field.current?.focus(), []);
  return (
    <section class="card sign-in" aria-labelledby="sign-in-title">
      <h1 id="sign-in-title">Sign in</h1>
      {reason !== null && (
        <p class="note note-error" role="alert">
          The server refused the sign-in: {reason}
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim()) signIn(text);
        }}
      >
        <label for="token">Token</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          aria-describedby="token-hint"
        />
        <p id="token-hint" class="hint">
          <code>make run</code> prints a link that signs in. In production, sign in to HexTrackr in this
          browser and return to this page, or enter a token from{" "}
          <code>hextrackr-server token --user NAME</code>. The token stays in this tab.
        </p>
        <button type="submit" class="button button-primary">
          Sign in
        </button>
      </form>
    </section>
  );
}
