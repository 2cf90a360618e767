// What the page asks the collector. Paths are relative, so that it works below a reverse proxy's prefix.

const OWN = "api/quorate";

/** A request that failed, in words for a person. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
    this.title = status === 404 ? "Not found" : status === 0 ? "The collector does not answer" : `The collector answered ${status}`;
  }
}

async function get(path, params, signal) {
  const query = params ? `?${new URLSearchParams(params)}` : "";
  let response;
  try {
    response = await fetch(path + query, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "Is it running? The page tries again when you ask it to.");
  }
  const body = await response.json().catch(() => undefined);
  if (!response.ok) {
    const said = body?.error?.message ?? body?.error ?? body?.message ?? body?.errors?.[0]?.msg;
    throw new ApiError(response.status, typeof said === "string" ? said : `It gave no reason (HTTP ${response.status}).`);
  }
  if (body === undefined) throw new ApiError(response.status, "Its answer is not JSON.");
  return body;
}

/** Summaries of the traces that match; `params` are pairs, since `tag` may repeat. */
export const search = (params, signal) => get(`${OWN}/search`, params, signal);

/** Everything about one trace. */
export const trace = (id, signal) => get(`${OWN}/traces/${encodeURIComponent(id)}`, undefined, signal);

/** What the collector is doing now. */
export const live = (signal) => get(`${OWN}/live`, undefined, signal);

/** Calls, errors and latencies by service, operation and kind. */
export const operationMetrics = (signal) => get(`${OWN}/operations`, undefined, signal);

/** Who calls whom. */
export const serviceGraph = (signal) => get(`${OWN}/service-graph`, undefined, signal);

/** Names of the services seen. */
export const services = async (signal) => (await get("api/services", undefined, signal)).data ?? [];

/** Names of a service's operations, each once. */
export async function operations(service, signal) {
  const { data } = await get("api/operations", { service }, signal);
  return [...new Set((data ?? []).map((operation) => operation.name))].sort();
}

/** Addresses of a trace in other forms. */
export const links = (id) => ({
  otlp: `${OWN}/traces/${encodeURIComponent(id)}/otlp`,
  jaeger: `api/traces/${encodeURIComponent(id)}`,
});
