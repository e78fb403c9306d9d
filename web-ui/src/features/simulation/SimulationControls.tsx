/** Starts, stops and steers the simulation. What one typed stays when a call is refused. */

import { Play, Square } from 'lucide-react';
import { useEffect, useId, useRef, useState } from 'react';

import { clock, count, rate as formatRate } from '@/lib/format';
import { hasKey, useT } from '@/lib/i18n';
import { useLanguage } from '@/lib/settings';
import { isRunning as runs } from '@/lib/simulation';
import type { Scenario, SimulationConfig, SimulationStatus } from '@/lib/types';
import { Button, SelectField, TextField } from '@/lib/ui/controls';
import { StatusDot } from '@/lib/ui/StatusDot';

export interface SimulationControlsProps {
  onStart: (config: SimulationConfig) => void;
  onStop: () => void;
  status: SimulationStatus | null;
  /** Changes a running simulation's rate. */
  onRateChange?: (rate: number) => void;
  scenarios?: Scenario[];
  maxRate?: number;
  /** A start or stop is under way. */
  isBusy?: boolean;
}

const MIN_RATE = 0.1;
const DEFAULT_MAX_RATE = 1000;
/** The simulator's limit: 31 days. */
const MAX_DURATION_S = 31 * 24 * 3600;
/** How long the slider must rest before a running simulation is told. */
const SETTLE_MS = 300;

export function SimulationControls({ onStart, onStop, status, onRateChange, scenarios = [], maxRate = DEFAULT_MAX_RATE, isBusy = false }: SimulationControlsProps) {
  const t = useT();
  const language = useLanguage();
  const rateId = useId();
  const [scenario, setScenario] = useState('default');
  const [rateText, setRateText] = useState('10');
  const [durationText, setDurationText] = useState('60');
  const isRunning = runs(status);
  const rate = Number(rateText);
  const duration = Number(durationText);
  const rateError = rateText !== '' && rate >= MIN_RATE && rate <= maxRate ? undefined : t('sim.rate.bad', { min: MIN_RATE, max: count(maxRate, language) });
  const durationError =
    durationText !== '' && duration >= 0 && duration <= MAX_DURATION_S ? undefined : t('sim.duration.bad', { max: count(MAX_DURATION_S, language) });
  const settle = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(
    () => () => {
      clearTimeout(settle.current);
    },
    [],
  );

  // A run that was started or changed elsewhere shows its own rate and scenario here; one's own
  // change is not undone by an answer from before it.
  const [shownRun, setShownRun] = useState<string | null>(null);
  const [asked, setAsked] = useState<number | null>(null);
  const run = isRunning ? `${status.simulation_id ?? ''} ${String(status.rate_target)}` : null;
  if (run !== shownRun) {
    setShownRun(run);
    if (status && asked === null && run !== null) {
      setRateText(String(status.rate_target));
      if (status.scenario) setScenario(status.scenario);
    }
    if (status?.rate_target === asked || run === null) setAsked(null);
  }

  const changeRate = (text: string) => {
    setRateText(text);
    clearTimeout(settle.current);
    const changed = Number(text);
    if (!isRunning || !onRateChange || changed < MIN_RATE || changed > maxRate) return;
    setAsked(changed);
    settle.current = setTimeout(() => {
      onRateChange(changed);
    }, SETTLE_MS);
  };

  const chooseScenario = (name: string) => {
    setScenario(name);
    const chosen = scenarios.find((candidate) => candidate.name === name);
    if (chosen && !isRunning) {
      setRateText(String(chosen.rate));
      setDurationText(String(chosen.duration));
    }
  };
  const current = scenarios.find((candidate) => candidate.name === scenario);
  return (
    <section aria-label={t('sim.title')} data-tour="simulation">
      <h2 className="mb-2 text-xs font-semibold tracking-wide text-ink-2 uppercase">{t('sim.title')}</h2>
      <form
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!isRunning && !rateError && !durationError && !isBusy) onStart({ scenario, rate, duration });
        }}
      >
        <SelectField
          label={t('sim.scenario')}
          value={scenario}
          disabled={isRunning}
          onChange={(event) => {
            chooseScenario(event.target.value);
          }}
          hint={current?.description[language]}
        >
          {scenarios.length === 0 && <option value="default">default</option>}
          {scenarios.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </SelectField>
        <div>
          <div className="mb-1 flex items-center justify-between">
            <label htmlFor={rateId} className="text-xs font-medium text-ink-2">
              {t('sim.rate')}
            </label>
            <span className="flex items-center gap-1 text-xs text-ink-3">
              <input
                type="number"
                aria-label={t('sim.rate.exact')}
                aria-invalid={rateError ? true : undefined}
                value={rateText}
                min={MIN_RATE}
                max={maxRate}
                step="any"
                onChange={(event) => {
                  changeRate(event.target.value);
                }}
                className={`h-7 w-20 rounded-md border bg-panel px-1.5 text-right text-[0.8125rem] text-ink ${rateError ? 'border-bad' : 'border-edge/60'}`}
              />
              /s
            </span>
          </div>
          <input
            id={rateId}
            type="range"
            min={0}
            max={1000}
            step={1}
            value={toSlider(rate, maxRate)}
            aria-valuetext={`${rateText} /s`}
            onChange={(event) => {
              changeRate(String(fromSlider(Number(event.target.value), maxRate)));
            }}
            className="w-full"
          />
          {rateError && <p className="text-xs text-bad">{rateError}</p>}
        </div>
        <TextField
          label={t('sim.duration')}
          type="number"
          min={0}
          max={MAX_DURATION_S}
          step="any"
          value={durationText}
          disabled={isRunning}
          error={durationError}
          hint={t('sim.duration.hint')}
          onChange={(event) => {
            setDurationText(event.target.value);
          }}
        />
        {isRunning ? (
          <Button tone="danger" className="w-full" onClick={onStop} disabled={isBusy} data-testid="stop">
            <Square aria-hidden className="size-3.5" />
            {t('sim.stop')}
          </Button>
        ) : (
          <Button tone="primary" type="submit" className="w-full" disabled={isBusy || Boolean(rateError) || Boolean(durationError)} data-testid="start">
            <Play aria-hidden className="size-3.5" />
            {t('sim.start')}
          </Button>
        )}
      </form>
      <Progress status={status} />
    </section>
  );
}

function Progress({ status }: { status: SimulationStatus | null }) {
  const t = useT();
  const language = useLanguage();
  const word = status?.status ?? 'unknown';
  const key = `sim.status.${word}`;
  const isRunning = runs(status);
  return (
    <dl className="mt-3 grid grid-cols-2 gap-x-3 gap-y-1 text-xs">
      <dt className="text-ink-3">{t('sim.status')}</dt>
      <dd className="flex items-center justify-end gap-1.5" data-testid="simulation-status" data-status={word}>
        <StatusDot level={isRunning ? 'good' : 'unknown'} />
        {hasKey(key) ? t(key) : word}
      </dd>
      <dt className="text-ink-3">{t('sim.produced')}</dt>
      <dd className="text-right" data-testid="events-produced">
        {count(status?.events_produced ?? 0, language)}
      </dd>
      <dt className="text-ink-3">{t('sim.actual')}</dt>
      <dd className="text-right">{formatRate(isRunning ? status.rate_actual : 0, language)} /s</dd>
      <dt className="text-ink-3">{t('sim.elapsed')}</dt>
      <dd className="text-right">
        {clock(status?.elapsed_seconds ?? 0)}
        {status && status.duration > 0 ? ` / ${clock(status.duration)}` : ''}
      </dd>
      {status !== null && status.failed > 0 && (
        <>
          <dt className="text-bad">{t('sim.failed')}</dt>
          <dd className="text-right text-bad">{count(status.failed, language)}</dd>
        </>
      )}
    </dl>
  );
}

/** The slider is logarithmic: 1 and 1,000 events per second are both within reach of a thumb. */
export function fromSlider(position: number, maxRate: number): number {
  const rate = Math.exp((position / 1000) * Math.log(maxRate));
  return rate < 10 ? Math.round(rate * 10) / 10 : rate < 100 ? Math.round(rate) : Math.min(maxRate, Math.round(rate / 10) * 10);
}

export function toSlider(rate: number, maxRate: number): number {
  if (!(rate > 1)) return 0;
  return Math.min(1000, Math.round((Math.log(rate) / Math.log(maxRate)) * 1000));
}
