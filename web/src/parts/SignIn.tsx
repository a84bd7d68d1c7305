import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { signIn } from "../session";
import { Field } from "./Field";

/** Shown instead of everything else where the server asks for a token. */
export function SignIn(): JSX.Element {
  const [token, setToken] = useState("");
  const [error, setError] = useState<string>();
  const [busy, setBusy] = useState(false);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn(token.trim());
    } catch (caught) {
      const refused = caught instanceof ApiError && [401, 403].includes(caught.status);
      setError(refused ? "The server does not know this token." : (caught as Error).message);
      setBusy(false);
    }
  };
  return (
    <main class="sign-in" id="main" tabIndex={-1}>
      <form class="card" onSubmit={send}>
        <h1>Sign in</h1>
        <p class="lead">This server answers only those who have a token. Ask whoever runs it for yours.</p>
        <Field label="Token" error={error}>
          {(ids) => (
            <input
              {...ids}
              type="password"
              autocomplete="current-password"
              required
              autofocus
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          )}
        </Field>
        <button type="submit" class="primary" disabled={busy || !token.trim()}>
          {busy ? "Signing in …" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
