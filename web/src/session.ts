/** Signing in and out. The token itself is kept nowhere here: the server answers with a cookie that scripts cannot read. */
import { note } from "./announce";
import { api, connection } from "./api/client";
import { createStore, remembered } from "./store";

export const signedIn = createStore(remembered.read<boolean>("signed-in") === true);
signedIn.watch((is) => remembered.write("signed-in", is || null));

export async function signIn(token: string): Promise<void> {
  await api.signIn(token);
  signedIn.set(true);
  connection.set("up");
}

export async function signOut(): Promise<void> {
  try {
    await api.signOut();
    signedIn.set(false);
    connection.set("signed-out");
  } catch (error) {
    note((error as Error).message, "danger");
  }
}
