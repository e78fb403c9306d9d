import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import { ApiError, bancaireApi, gatewayApi, simulationApi } from '@/lib/api';
import { gateway, healthy, problem, running, withGateway } from '@/test/gateway';

withGateway();

describe('simulationApi', () => {
  it('TestSimulationApi_Start: sends the configuration and returns the id', async () => {
    let sent: unknown;
    gateway.use(
      http.post('*/api/v1/simulation/start', async ({ request }) => {
        sent = await request.json();
        return HttpResponse.json({ simulation_id: 'abc', status: 'running' });
      }),
    );
    const started = await simulationApi.start({ scenario: 'default', rate: 10, duration: 60 });
    expect(sent).toEqual({ scenario: 'default', rate: 10, duration: 60 });
    expect(started).toEqual({ simulation_id: 'abc', status: 'running' });
  });

  it('TestSimulationApi_Status: returns the running simulation', async () => {
    gateway.use(http.get('*/api/v1/simulation/status', () => HttpResponse.json(running)));
    const status = await simulationApi.status();
    expect(status.status).toBe('running');
    expect(status.events_produced).toBe(1234);
  });

  it('carries a refusal with its title and detail', async () => {
    gateway.use(http.post('*/api/v1/simulation/start', () => problem(409, 'Conflict', 'A simulation runs already.')));
    const refused = simulationApi.start({ scenario: 'default', rate: 10, duration: 0 });
    await expect(refused).rejects.toThrow(ApiError);
    await expect(refused).rejects.toMatchObject({ status: 409, problem: { title: 'Conflict', detail: 'A simulation runs already.' } });
  });

  it('says so when nothing answers, and when the answer is no JSON', async () => {
    gateway.use(http.get('*/api/v1/simulation/status', () => HttpResponse.error()));
    await expect(simulationApi.status()).rejects.toMatchObject({ status: 0 });
    gateway.use(http.get('*/api/v1/simulation/status', () => new HttpResponse('<html>proxy</html>')));
    await expect(simulationApi.status()).rejects.toMatchObject({ problem: { title: 'Not JSON' } });
  });
});

describe('bancaireApi', () => {
  it('TestBancaireApi_GetCompte: asks the gateway for the account', async () => {
    const compte = { id: '0198c5a0-7e1b-7c44-9d1a-3f5b8e2d6a01', solde: '1234.56', devise: 'EUR' };
    gateway.use(http.get(`*/api/v1/bancaire/comptes/${compte.id}`, () => HttpResponse.json(compte)));
    expect(await bancaireApi.getCompte(compte.id)).toEqual(compte);
  });

  it('lists transactions up to a limit', async () => {
    gateway.use(
      http.get('*/api/v1/bancaire/comptes/a/transactions', ({ request }) => {
        expect(new URL(request.url).searchParams.get('limit')).toBe('5');
        return HttpResponse.json({ transactions: [] });
      }),
    );
    expect(await bancaireApi.getTransactions('a', 5)).toEqual({ transactions: [] });
  });
});

describe('gatewayApi', () => {
  it('takes an unhealthy health as an answer', async () => {
    gateway.use(http.get('*/api/v1/health', () => HttpResponse.json({ ...healthy, status: 'unhealthy' }, { status: 503 })));
    expect((await gatewayApi.health()).status).toBe('unhealthy');
  });
});
