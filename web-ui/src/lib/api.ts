/**
 * Every call that the page makes, through the gateway. A refused call throws an `ApiError` that
 * carries the problem's title and detail.
 */

import type * as T from '@/lib/types';

export class ApiError extends Error {
  readonly problem: T.Problem;
  constructor(problem: T.Problem) {
    super(problem.detail ?? problem.title);
    this.name = 'ApiError';
    this.problem = problem;
  }
  /** 0 when nothing answered at all. */
  get status(): number {
    return this.problem.status;
  }
}

/** A call that takes longer has failed; the gateway gives up on its services before that. */
const TIMEOUT_MS = 20_000;

export const simulationApi = {
  start: (config: T.SimulationConfig) => post<T.Started>('/api/v1/simulation/start', config),
  stop: () => post<T.Stopped>('/api/v1/simulation/stop'),
  status: () => get<T.SimulationStatus>('/api/v1/simulation/status'),
  changeRate: (rate: number) => call<unknown>('PATCH', '/api/v1/simulation', { rate }),
  scenarios: () => get<T.Scenarios>('/api/v1/scenarios'),
  produceEvent: (eventType: string, count: number, compteId?: string) =>
    post<T.Produced>('/api/v1/events/produce', { event_type: eventType, count, ...(compteId ? { compte_id: compteId } : {}) }),
  poison: (topic: string, kind: string, count: number) => post<T.Poisoned>('/api/v1/events/poison', { topic, kind, count }),
  duplicate: (count: number) => post<T.Duplicated>('/api/v1/events/duplicate', { count }),
};

export const bancaireApi = {
  getComptes: (limit: number, after?: string) =>
    get<T.ComptesPage>(`/api/v1/bancaire/comptes?${query({ limit, after })}`),
  getCompte: (id: string) => get<T.Compte>(`/api/v1/bancaire/comptes/${encodeURIComponent(id)}`),
  getTransactions: (compteId: string, limit = 100) =>
    get<T.Transactions>(`/api/v1/bancaire/comptes/${encodeURIComponent(compteId)}/transactions?${query({ limit })}`),
};

export const gatewayApi = {
  health: () => get<T.Health>('/api/v1/health', [503]),
  metrics: () => get<T.Metrics>('/api/v1/metrics'),
  ledger: () => get<T.Ledger>('/api/v1/ledger'),
  kafka: () => get<T.KafkaCluster>('/api/v1/kafka'),
  record: (topic: string, partition: number, offset: number) =>
    get<T.KafkaRecord>(`/api/v1/records/${encodeURIComponent(topic)}/${String(partition)}/${String(offset)}`),
  deadLetters: (limit: number, before?: string) => get<T.DeadLetters>(`/api/v1/dead-letters?${query({ limit, before })}`),
  replay: (key: string, event?: Record<string, unknown>) =>
    post<T.Replayed>(`/api/v1/dead-letters/${encodeURIComponent(key)}/replay`, event ? { event } : {}),
};

/** Served only where xtask runs the lab; elsewhere refused with 403 and the reason. */
export const labApi = {
  lab: () => get<T.Lab>('/api/v1/lab'),
  act: (name: string, action: T.LabAction) =>
    post<T.LabDone>(`/api/v1/lab/services/${encodeURIComponent(name)}/${action}`),
  logs: (name: string, lines: number) =>
    get<T.LogLines>(`/api/v1/lab/logs/${encodeURIComponent(name)}?${query({ lines })}`),
};

/** `answers` are statuses beside 2xx whose body is an answer too, such as an unhealthy health. */
function get<R>(path: string, answers: number[] = []): Promise<R> {
  return call<R>('GET', path, undefined, answers);
}

function post<R>(path: string, body: unknown = {}): Promise<R> {
  return call<R>('POST', path, body);
}

async function call<R>(method: string, path: string, body?: unknown, answers: number[] = []): Promise<R> {
  const base = new URL(import.meta.env.VITE_API_URL ?? window.location.origin, window.location.origin);
  let response: Response;
  try {
    response = await fetch(new URL(path, base), {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const slow = error instanceof DOMException && error.name === 'TimeoutError';
    throw new ApiError({ title: slow ? 'No answer in time' : 'The gateway does not answer', status: 0 });
  }
  const text = await response.text();
  const json = parse(text);
  if (response.ok || answers.includes(response.status)) {
    if (json === undefined) throw new ApiError({ title: 'Not JSON', status: response.status, detail: text.slice(0, 200) });
    return json as R;
  }
  const problem = typeof json === 'object' && json !== null ? (json as Partial<T.Problem>) : {};
  throw new ApiError({ ...problem, title: problem.title ?? (response.statusText || 'Error'), status: response.status });
}

function parse(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function query(parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}
