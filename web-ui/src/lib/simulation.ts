/** What a simulation's status means for the page. */

import type { SimulationStatus } from '@/lib/types';

/** It runs, or its last events are still being acknowledged. */
export function isRunning(status: SimulationStatus | null | undefined): status is SimulationStatus {
  return status?.status === 'running' || status?.status === 'stopping';
}
