import { act, screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { beforeEach, describe, expect, it } from 'vitest';

import { FlowVisualization } from '@/features/flow/FlowVisualization';
import { pulses } from '@/lib/pulses';
import { useSimulationStore } from '@/lib/store/simulationStore';
import { gateway, healthy, ledgerOf, quietLab, withGateway } from '@/test/gateway';
import { renderPage } from '@/test/render';

withGateway();

const DEPOT = 'bancaire.depot.effectue';

beforeEach(() => {
  gateway.use(...quietLab);
  useSimulationStore.setState(useSimulationStore.getInitialState(), true);
});

describe('FlowVisualization', () => {
  it('TestFlowVisualization_RendersNodes: every part of the lab, Client 360 marked as coming', async () => {
    renderPage(<FlowVisualization />);
    for (const id of ['simulator', 'kafka', 'bancaire', 'postgres', 'dlq', 'client360']) {
      expect(await screen.findByTestId(`node-${id}`)).toBeInTheDocument();
    }
    expect(screen.getByTestId('node-client360')).toHaveAttribute('data-level', 'coming');
  });

  it('TestFlowVisualization_AnimatesOnEvent: an edge moves when an event passed, and only that edge', async () => {
    const { updateTopics } = useSimulationStore.getState();
    updateTopics({ [DEPOT]: { count: 41, rate: 1, sampled_out: 0 } });
    renderPage(<FlowVisualization />);
    const edge = await screen.findByTestId('edge-simulator-kafka');
    expect(edge).toHaveAttribute('data-moving', 'false');
    expect(edge).toHaveTextContent('41');
    act(() => {
      pulses.emit('simulator-kafka', DEPOT);
      updateTopics({ [DEPOT]: { count: 42, rate: 1, sampled_out: 0 } });
    });
    expect(edge).toHaveAttribute('data-moving', 'true');
    expect(edge).toHaveTextContent('42');
    expect(screen.getByTestId('edge-kafka-bancaire')).toHaveAttribute('data-moving', 'false');
    await waitFor(() => {
      expect(edge).toHaveAttribute('data-moving', 'false');
    }, { timeout: 4000 });
  });

  it('moves what is behind Kafka only when bancaire has counted it', async () => {
    useSimulationStore.setState({ ledger: ledgerOf(DEPOT, { applied: 3, in_flight: 5 }) });
    gateway.use(http.get('*/api/v1/ledger', () => HttpResponse.json(ledgerOf(DEPOT, { applied: 8, in_flight: 0 }))));
    renderPage(<FlowVisualization />);
    await waitFor(() => {
      expect(screen.getByTestId('edge-kafka-bancaire')).toHaveAttribute('data-moving', 'true');
    });
    await waitFor(() => {
      expect(screen.getByTestId('edge-bancaire-postgres')).toHaveAttribute('data-moving', 'true');
    });
    expect(screen.getByTestId('counter-bancaire')).toHaveTextContent('8');
  });

  it('TestFlowNode_ShowsStatus: green, orange, red, with the reason and a word', async () => {
    const services = {
      ...healthy.services,
      kafka: { status: 'degraded', reason: 'slow' },
      bancaire: { status: 'unhealthy', reason: 'connection refused' },
    };
    gateway.use(http.get('*/api/v1/health', () => HttpResponse.json({ ...healthy, services }, { status: 503 })));
    renderPage(<FlowVisualization />);
    await waitFor(() => {
      expect(screen.getByTestId('node-simulator')).toHaveAttribute('data-level', 'good');
    });
    expect(screen.getByTestId('node-kafka')).toHaveAttribute('data-level', 'warn');
    const bancaire = screen.getByTestId('node-bancaire');
    expect(bancaire).toHaveAttribute('data-level', 'bad');
    expect(bancaire).toHaveAttribute('title', 'connection refused');
    expect(within(bancaire).getByText('down')).toBeInTheDocument();
  });
});
