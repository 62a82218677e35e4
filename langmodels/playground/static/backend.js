// Where numbers come from: the server's Python. A page that was exported has another of these.

export class Refused extends Error { name = "Refused"; }

export const live = true;

export async function ask(name, data = {}) {
  let response;
  try {
    response = await fetch(`api/${name}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
    });
  } catch {
    throw new Refused("The page cannot reach its server; is `langmodels play` still running?");
  }
  return read(response);
}

// `said`: encoding, errors, field and language, as the dialog has them.
export async function upload(file, said) {
  const query = new URLSearchParams({ name: file.name, ...said });
  return read(await fetch(`api/upload?${query}`, { method: "POST", body: file }));
}

async function read(response) {
  const type = response.headers.get("Content-Type") ?? "";
  const found = type.startsWith("application/json") ? await response.json() : { error: await response.text() };
  if (!response.ok || found.error) throw new Refused(found.error || "The server did not answer.");
  return found;
}
