/**
 * What is asked of the gateway again and again. The intervals are chosen by what a person notices:
 * the simulation's counter and the books each second, the rest every other.
 */

import { QueryClient, useQuery } from '@tanstack/react-query';

import { ApiError, gatewayApi, labApi, simulationApi } from '@/lib/api';
import { useSimulationStore } from '@/lib/store/simulationStore';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: 1, retryDelay: 500, staleTime: 500, refetchOnWindowFocus: true },
  },
});

export function useSimulationStatus() {
  return useQuery({
    queryKey: ['simulation'],
    queryFn: async () => {
      const status = await simulationApi.status();
      useSimulationStore.getState().updateSimulation(status);
      return status;
    },
    refetchInterval: 1000,
  });
}

export function useScenarios() {
  return useQuery({ queryKey: ['scenarios'], queryFn: simulationApi.scenarios, staleTime: 60_000, refetchInterval: (query) => (query.state.data ? false : 3000) });
}

export function useHealth() {
  return useQuery({ queryKey: ['health'], queryFn: gatewayApi.health, refetchInterval: 2000 });
}

export function useLedger() {
  return useQuery({
    queryKey: ['ledger'],
    queryFn: async () => {
      const ledger = await gatewayApi.ledger();
      useSimulationStore.getState().updateLedger(ledger);
      return ledger;
    },
    refetchInterval: 1000,
  });
}

export function useKafka() {
  return useQuery({ queryKey: ['kafka'], queryFn: gatewayApi.kafka, refetchInterval: 2000 });
}

/** Where the lab may not be acted upon the answer is 403 with the reason; it is not asked again. */
export function useLab() {
  return useQuery({
    queryKey: ['lab'],
    queryFn: labApi.lab,
    retry: false,
    refetchInterval: ({ state }) => (state.error instanceof ApiError && state.error.status === 403 ? false : 2000),
  });
}

/** The whole of what a change may have touched is asked again. */
export function refreshAll(): void {
  void queryClient.invalidateQueries();
}
