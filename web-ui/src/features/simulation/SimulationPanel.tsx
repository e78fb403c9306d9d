/** The sidebar's content: the controls, wired to the simulator, and the producer. */

import { useCallback, useState } from 'react';

import { simulationApi } from '@/lib/api';
import { useT } from '@/lib/i18n';
import { useScenarios, useSimulationStatus } from '@/lib/queries';
import { useSimulationStore } from '@/lib/store/simulationStore';
import { showToast } from '@/lib/toasts';
import { describe } from '@/lib/ui/states';
import { EventProducer } from '@/features/simulation/EventProducer';
import { SimulationControls } from '@/features/simulation/SimulationControls';

export function SimulationPanel() {
  const t = useT();
  const { isError, error } = useSimulationStatus();
  const scenarios = useScenarios();
  const status = useSimulationStore((state) => state.simulationStatus);
  const start = useSimulationStore((state) => state.startSimulation);
  const stop = useSimulationStore((state) => state.stopSimulation);
  const [isBusy, setBusy] = useState(false);

  const act = useCallback(async (work: () => Promise<unknown>) => {
    setBusy(true);
    try {
      await work();
    } catch (failure) {
      showToast({ tone: 'bad', ...describe(failure) });
    } finally {
      setBusy(false);
    }
  }, []);
  const changeRate = useCallback((rate: number) => void act(() => simulationApi.changeRate(rate)), [act]);

  return (
    <div className="space-y-5 p-4">
      <SimulationControls
        status={isError ? null : status}
        scenarios={scenarios.data?.scenarios}
        maxRate={scenarios.data?.max_rate}
        isBusy={isBusy}
        onStart={(config) => void act(() => start(config))}
        onStop={() => void act(stop)}
        onRateChange={changeRate}
      />
      {isError && (
        <p role="alert" className="text-xs text-bad">
          {t('sim.away', { reason: describe(error).detail ?? describe(error).title })}
        </p>
      )}
      <hr className="border-line" />
      <EventProducer />
    </div>
  );
}
