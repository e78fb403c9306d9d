/** The views' states: empty, refused, full, and text that tries to be more than text. */

import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { http, HttpResponse } from 'msw';
import { beforeEach, describe, expect, it } from 'vitest';

import { AccountsView } from '@/features/accounts/AccountsView';
import { BreakItView } from '@/features/breakit/BreakItView';
import { advance, type Watch } from '@/features/breakit/watch';
import { DeadLettersView } from '@/features/deadletters/DeadLettersView';
import { EventTable } from '@/features/events/EventTable';
import { LedgerView } from '@/features/ledger/LedgerView';
import { MetricsDashboard } from '@/features/metrics/MetricsDashboard';
import { EventProducer } from '@/features/simulation/EventProducer';
import { navigate } from '@/lib/router';
import { useSimulationStore, type StreamEvent } from '@/lib/store/simulationStore';
import type { Counts } from '@/lib/types';
import { Toasts } from '@/lib/ui/Toasts';
import { gateway, healthy, ledgerOf, problem, quietLab, withGateway } from '@/test/gateway';
import { renderPage } from '@/test/render';

withGateway();

const DEPOT = 'bancaire.depot.effectue';

beforeEach(() => {
  gateway.use(...quietLab);
  useSimulationStore.setState(useSimulationStore.getInitialState(), true);
  navigate('/');
});

function event(offset: number, key: string): StreamEvent {
  return { kind: 'event', id: `${DEPOT}-0-${String(offset)}`, topic: DEPOT, partition: 0, offset, eventType: 'DepotEffectue', key, latencyMs: 1, size: 80, event: { reference: key }, receivedAt: Date.now() };
}

describe('EventTable', () => {
  it('says what to do while nothing has passed', () => {
    renderPage(<EventTable />);
    expect(screen.getByText(/No event has passed/)).toBeInTheDocument();
  });

  it('shows, filters and pauses; strings from events are text', async () => {
    const evil = '<img src=x onerror=alert(1)>';
    useSimulationStore.getState().addItems([event(1, 'compte-1'), event(2, evil)]);
    renderPage(<EventTable />);
    expect(screen.getAllByTestId('event-row')).toHaveLength(2);
    expect(screen.getByTitle(evil)).toBeInTheDocument();
    expect(document.querySelector('img')).toBeNull();
    await userEvent.type(screen.getByLabelText('Contains'), 'compte-1');
    expect(screen.getAllByTestId('event-row')).toHaveLength(1);
    await userEvent.clear(screen.getByLabelText('Contains'));
    await userEvent.click(screen.getByRole('button', { name: 'Pause' }));
    useSimulationStore.getState().addItems([event(3, 'compte-3')]);
    expect(screen.getAllByTestId('event-row')).toHaveLength(2);
    await userEvent.click(screen.getByRole('button', { name: 'Resume' }));
    expect(screen.getAllByTestId('event-row')).toHaveLength(3);
  });

  it('opens the line that was pressed, though another has taken its place since', async () => {
    useSimulationStore.getState().addItems([event(1, 'compte-1')]);
    renderPage(<EventTable />);
    const pointer = userEvent.setup();
    await pointer.pointer({ keys: '[MouseLeft>]', target: screen.getByText('compte-1') });
    useSimulationStore.getState().addItems([event(2, 'compte-2')]);
    await pointer.pointer({ keys: '[/MouseLeft]', target: await screen.findByText('compte-2') });
    expect(new URLSearchParams(window.location.search).get('record')).toBe(`${DEPOT}-0-1`);
  });

  it('shows gaps rather than hiding them', () => {
    useSimulationStore.getState().addItems([{ kind: 'gap', id: 'g', why: 'away', fromMs: 0, toMs: 2500, missed: 12 }]);
    renderPage(<EventTable />);
    expect(screen.getByTestId('gap-row')).toHaveTextContent('lost for 2.5 s');
    expect(screen.getByTestId('gap-row')).toHaveTextContent('12 events passed meanwhile');
  });
});

describe('EventProducer', () => {
  it('produces and says so; a refusal shows its detail and keeps what was typed', async () => {
    gateway.use(http.post('*/api/v1/events/produce', () => HttpResponse.json({ events_produced: 2, event_ids: ['a', 'b'] })));
    renderPage(
      <>
        <EventProducer />
        <Toasts />
      </>,
    );
    const user = userEvent.setup();
    await user.clear(screen.getByLabelText('Count'));
    await user.type(screen.getByLabelText('Count'), '2');
    await user.click(screen.getByRole('button', { name: 'Produce' }));
    expect(await screen.findByText('Published: 2 × CompteOuvert')).toBeInTheDocument();
    gateway.use(http.post('*/api/v1/events/produce', () => problem(503, 'Service Unavailable', 'Kafka does not acknowledge.')));
    await user.click(screen.getByRole('button', { name: 'Produce' }));
    expect(await screen.findByText('Kafka does not acknowledge.')).toBeInTheDocument();
    expect(screen.getByLabelText('Count')).toHaveValue(2);
    await user.clear(screen.getByLabelText('Count'));
    expect(screen.getByRole('button', { name: 'Produce' })).toBeDisabled();
    expect(screen.getByText('A whole number from 1 to 10,000.')).toBeInTheDocument();
  });
});

describe('LedgerView', () => {
  it('is green when balanced', async () => {
    gateway.use(http.get('*/api/v1/ledger', () => HttpResponse.json(ledgerOf(DEPOT, { applied: 7, rejected: 2, in_flight: 1 }))));
    renderPage(<LedgerView />);
    expect(await screen.findByTestId('balanced')).toHaveAttribute('data-balanced', 'true');
    expect(screen.getByTestId('equation')).toHaveTextContent(/^10/);
  });

  it('says what it means when not', async () => {
    gateway.use(http.get('*/api/v1/ledger', () => HttpResponse.json({ ...ledgerOf(DEPOT, { balanced: false }), balanced: false })));
    renderPage(<LedgerView />);
    expect(await screen.findByText(/cargo xtask verify/)).toBeInTheDocument();
  });

  it('shows the problem when bancaire is away', async () => {
    gateway.use(http.get('*/api/v1/ledger', () => problem(503, 'Service Unavailable', 'bancaire does not answer.')));
    renderPage(<LedgerView />);
    expect(await screen.findByText('bancaire does not answer.', {}, { timeout: 4000 })).toBeInTheDocument();
  });
});

describe('AccountsView', () => {
  it('marks the event that was followed, or says that it is not there yet', async () => {
    const id = '0198c5a0-7e1b-7c44-9d1a-3f5b8e2d6a01';
    const compte = { id, client_id: 'c', type_compte: 'COURANT', devise: 'EUR', solde: '12.50', statut: 'ACTIF', rang: 1, created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z' };
    const row = { id: 'e1', type: 'DEPOT', montant: '12.50', solde_apres: '12.50', rang: 1, partition: 0, offset: 4, evenement_le: '2026-01-01T00:00:00Z', created_at: '2026-01-01T00:00:00Z' };
    Element.prototype.scrollIntoView = () => undefined;
    gateway.use(
      http.get(`*/comptes/${id}`, () => HttpResponse.json(compte)),
      http.get(`*/comptes/${id}/transactions`, () => HttpResponse.json({ transactions: [row] })),
    );
    navigate(`/accounts/${id}?event=e1`);
    const { unmount } = renderPage(<AccountsView />);
    expect(await screen.findByTestId('balance')).toHaveTextContent('12.50');
    expect(await screen.findByTestId('transaction-row')).toHaveAttribute('data-followed', 'true');
    unmount();
    navigate(`/accounts/${id}?event=e2`);
    renderPage(<AccountsView />);
    expect(await screen.findByText(/not in this account yet/)).toBeInTheDocument();
  });
});

describe('DeadLettersView', () => {
  it('mends a letter and sends it again', async () => {
    const letter = { key: `${DEPOT}-0-7`, original_topic: DEPOT, partition: 0, offset: 7, kind: 'bad_magic', message: 'the first byte is 0x7b', timestamp: '2026-01-01T00:00:00Z', attempt_count: 1, value_base64: btoa('{abc'), headers: {}, record_key: 'compte-9', replayed: false, replays: [], service: 'bancaire', consumer_group: 'bancaire' };
    let sent: unknown;
    gateway.use(
      http.get('*/api/v1/dead-letters', () => HttpResponse.json({ dead_letters: [letter], total: 1 })),
      http.post('*/api/v1/dead-letters/:key/replay', async ({ request }) => {
        sent = await request.json();
        return HttpResponse.json({ topic: DEPOT, event_id: 'e' });
      }),
    );
    renderPage(<DeadLettersView />);
    await userEvent.click(await screen.findByText('Bad magic byte'));
    const mend = await screen.findByTestId<HTMLTextAreaElement>('mend');
    const draft = JSON.parse(mend.value) as Record<string, unknown>;
    expect(draft.compte_id).toBe('compte-9');
    await userEvent.clear(mend);
    await userEvent.click(mend);
    await userEvent.paste('{"montant": 1}');
    expect(screen.getByTestId('replay-mended')).toBeDisabled();
    expect(screen.getByText('event_id is missing')).toBeInTheDocument();
    await userEvent.clear(mend);
    await userEvent.paste(JSON.stringify({ ...draft, montant: '42.00' }));
    await userEvent.click(screen.getByTestId('replay-mended'));
    await waitFor(() => {
      expect(sent).toMatchObject({ event: { montant: '42.00', compte_id: 'compte-9' } });
    });
  });
});

describe('BreakItView', () => {
  it('says why parts cannot be stopped, and still poisons', async () => {
    renderPage(<BreakItView />);
    expect(await screen.findByTestId('lab-refused')).toHaveTextContent('was not started by cargo xtask');
    expect(screen.getByTestId('kill')).toBeDisabled();
    expect(screen.getByTestId('poison')).toBeEnabled();
  });

  it('sees a part fall, come back, and the lag with it', () => {
    const counts = (in_flight: number): Counts => ({ applied: 0, rejected: 0, parked: 0, dead_lettered: 0, duplicates: 0, absent: 0, in_flight, balanced: true });
    const down = { ...healthy, services: { ...healthy.services, bancaire: { status: 'unhealthy' as const } } };
    let watch: Watch = { experiment: 'kill', part: 'bancaire', published: 0, startedMs: 0, before: counts(0), now: counts(0), highestLag: 0, badAtMs: null, backAtMs: null, isHealed: false, caughtUpAtMs: null };
    watch = advance(watch, { totals: counts(0), lag: 0, health: healthy, nowMs: 100 });
    expect(watch).toMatchObject({ badAtMs: null, caughtUpAtMs: null });
    watch = advance(watch, { totals: counts(40), lag: 40, health: down, nowMs: 200 });
    watch = advance(watch, { totals: counts(70), lag: 70, health: down, nowMs: 300 });
    watch = advance(watch, { totals: counts(30), lag: 30, health: healthy, nowMs: 400 });
    watch = advance(watch, { totals: counts(0), lag: 0, health: healthy, nowMs: 500 });
    expect(watch).toMatchObject({ badAtMs: 200, backAtMs: 400, highestLag: 70, caughtUpAtMs: 500 });
  });
});

describe('MetricsDashboard', () => {
  it('shows each service with its state and recent errors', async () => {
    gateway.use(
      http.get('*/api/v1/metrics', () =>
        HttpResponse.json({
          timestamp: '2026-01-01T00:00:00Z',
          simulation: null,
          kafka: { messages_total: 5, messages_per_second: 0, lag_total: 0, topics: [] },
          services: [{ name: 'bancaire', status: 'healthy', latency_ms: 3.5, errors_recent: [{ at: '2026-01-01T00:00:00Z', kind: 'postgres', count: 2 }] }],
          latencies: { produce_ms: { p50: 1, p99: 4 }, end_to_end_ms: { p50: 5, p99: 21 } },
          websocket: { clients: 1 },
          uptime_seconds: 1,
        }),
      ),
    );
    renderPage(<MetricsDashboard />);
    const bancaire = await screen.findByTestId('service-bancaire');
    await waitFor(() => {
      expect(bancaire).toHaveAttribute('data-level', 'good');
    });
    expect(await within(bancaire).findByText('2 errors')).toBeInTheDocument();
    expect(within(bancaire).getByText('3.5 ms')).toBeInTheDocument();
    expect(await screen.findByText('21 ms')).toBeInTheDocument();
  });
});
