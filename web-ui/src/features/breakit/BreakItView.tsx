/** Faults to make on purpose: each says what to expect, and then what happened. */

import { useState } from 'react';

import { Experiment } from '@/features/breakit/Experiment';
import { markHealed, markPublished, startWatch } from '@/features/breakit/watch';
import { labApi, simulationApi } from '@/lib/api';
import { EVENT_TYPES, EVENTS } from '@/lib/eventTypes';
import { hasKey, useT } from '@/lib/i18n';
import { refreshAll, useHealth, useLab } from '@/lib/queries';
import { showToast } from '@/lib/toasts';
import type { LabAction } from '@/lib/types';
import { Button, SelectField, TextField } from '@/lib/ui/controls';
import { Page } from '@/lib/ui/page';
import { describe } from '@/lib/ui/states';
import { levelOf } from '@/lib/ui/StatusDot';

const PARTS = ['bancaire', 'kafka', 'postgres', 'registry', 'simulator'] as const;
type Part = (typeof PARTS)[number];
const POISONS = ['truncated', 'bad_magic', 'unknown_schema_id', 'tombstone', 'empty', 'wrong_schema', 'huge_length'] as const;
const RECORDS_MAX = 1000;

export function BreakItView() {
  const t = useT();
  const lab = useLab();
  return (
    <Page title={t('break.title')} intro={t('break.intro')}>
      <div className="h-full overflow-y-auto px-4 pb-6">
        {lab.isError && (
          <p role="status" className="mb-3 rounded-md border border-warn/50 bg-panel p-3 text-[0.8125rem]" data-testid="lab-refused">
            <span className="font-medium">{t('break.refused')}</span> {describe(lab.error).detail ?? describe(lab.error).title}
          </p>
        )}
        <div className="grid gap-x-8 lg:grid-cols-2">
          <Kill isAllowed={!lab.isError} />
          <Pause isAllowed={!lab.isError} />
          <Poison />
          <Duplicate />
        </div>
      </div>
    </Page>
  );
}

/** Runs one call at a time and shows its refusal. */
function useCall(): [boolean, (work: () => Promise<void>) => Promise<void>] {
  const [isBusy, setBusy] = useState(false);
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    try {
      await work();
      refreshAll();
    } catch (failure) {
      showToast({ tone: 'bad', ...describe(failure) });
    } finally {
      setBusy(false);
    }
  };
  return [isBusy, run];
}

function Kill({ isAllowed }: { isAllowed: boolean }) {
  const t = useT();
  const [part, setPart] = useState<Part>('bancaire');
  const [isBusy, run] = useCall();
  const { data: health } = useHealth();
  const isDown = levelOf(health?.services[part]?.status) === 'bad';
  const act = (action: LabAction) =>
    void run(async () => {
      if (action === 'start') markHealed('kill');
      else startWatch('kill', part);
      await labApi.act(part, action);
    });
  return (
    <Experiment id="kill" title={t('break.kill.title')} about={t('break.kill.about')} expect={t(`break.kill.expect.${part}`)}>
      <div className="w-40">
        <SelectField
          label={t('break.part')}
          value={part}
          onChange={(event) => {
            setPart(event.target.value as Part);
          }}
        >
          {PARTS.map((name) => (
            <option key={name} value={name}>
              {t(`service.${name}`)}
            </option>
          ))}
        </SelectField>
      </div>
      <Button
        tone="danger"
        disabled={!isAllowed || isBusy || isDown}
        data-testid="kill"
        onClick={() => {
          act('kill');
        }}
      >
        {t('break.kill')}
      </Button>
      <Button
        disabled={!isAllowed || isBusy || isDown}
        onClick={() => {
          act('stop');
        }}
      >
        {t('break.stop')}
      </Button>
      <Button
        tone={isDown ? 'primary' : 'quiet'}
        disabled={!isAllowed || isBusy || !isDown}
        data-testid="revive"
        onClick={() => {
          act('start');
        }}
      >
        {t('break.start')}
      </Button>
    </Experiment>
  );
}

function Pause({ isAllowed }: { isAllowed: boolean }) {
  const t = useT();
  const [isBusy, run] = useCall();
  const { data: lab } = useLab();
  const isPaused = lab?.parts.some(({ name, state }) => name === 'bancaire' && state === 'paused') ?? false;
  const act = (action: LabAction) =>
    void run(async () => {
      if (action === 'pause') startWatch('pause', 'bancaire');
      await labApi.act('bancaire', action);
      if (action === 'resume') markHealed('pause');
    });
  return (
    <Experiment id="pause" title={t('break.pause.title')} about={t('break.pause.about')} expect={t('break.pause.expect')}>
      <Button
        tone="danger"
        disabled={!isAllowed || isBusy || isPaused}
        onClick={() => {
          act('pause');
        }}
      >
        {t('break.pause')}
      </Button>
      <Button
        tone={isPaused ? 'primary' : 'quiet'}
        disabled={!isAllowed || isBusy || !isPaused}
        onClick={() => {
          act('resume');
        }}
      >
        {t('break.resume')}
      </Button>
    </Experiment>
  );
}

function Poison() {
  const t = useT();
  const [topic, setTopic] = useState(EVENTS.DepotEffectue.topic);
  const [kind, setKind] = useState<string>('truncated');
  const [isBusy, run] = useCall();
  const [countField, count] = useCount('3');
  const publish = () =>
    void run(async () => {
      startWatch('poison', null);
      const { records_produced: produced } = await simulationApi.poison(topic, kind, count ?? 1);
      markPublished('poison', produced);
    });
  const about = `poison.${kind}.about`;
  return (
    <Experiment id="poison" title={t('break.poison.title')} about={t('break.poison.about')} expect={t('break.poison.expect')}>
      <div className="w-36">
        <SelectField
          label={t('break.topic')}
          value={topic}
          onChange={(event) => {
            setTopic(event.target.value);
          }}
        >
          {EVENT_TYPES.map((type) => (
            <option key={type} value={EVENTS[type].topic}>
              {type}
            </option>
          ))}
        </SelectField>
      </div>
      <div className="w-38">
        <SelectField
          label={t('break.kind')}
          value={kind}
          title={hasKey(about) ? t(about) : undefined}
          onChange={(event) => {
            setKind(event.target.value);
          }}
        >
          {POISONS.map((name) => (
            <option key={name} value={name}>
              {t(`poison.${name}`)}
            </option>
          ))}
        </SelectField>
      </div>
      {countField}
      <Button tone="danger" disabled={isBusy || count === null} data-testid="poison" onClick={publish}>
        {t('break.publish')}
      </Button>
    </Experiment>
  );
}

function Duplicate() {
  const t = useT();
  const [isBusy, run] = useCall();
  const [countField, count] = useCount('10');
  const publish = () =>
    void run(async () => {
      startWatch('duplicate', null);
      const { records_produced: produced } = await simulationApi.duplicate(count ?? 1);
      markPublished('duplicate', produced);
    });
  return (
    <Experiment id="duplicate" title={t('break.duplicate.title')} about={t('break.duplicate.about')} expect={t('break.duplicate.expect')}>
      {countField}
      <Button tone="danger" disabled={isBusy || count === null} data-testid="duplicate" onClick={publish}>
        {t('break.publishAgain')}
      </Button>
    </Experiment>
  );
}

/** A field for a number of records, and that number, or null when it is out of range. */
function useCount(initial: string): [React.ReactNode, number | null] {
  const t = useT();
  const [text, setText] = useState(initial);
  const value = Number(text);
  const isGood = Number.isInteger(value) && value >= 1 && value <= RECORDS_MAX;
  const field = (
    <div className="w-20">
      <TextField
        label={t('break.count')}
        type="number"
        min={1}
        max={RECORDS_MAX}
        value={text}
        error={isGood ? undefined : t('break.count.bad', { max: RECORDS_MAX })}
        onChange={(event) => {
          setText(event.target.value);
        }}
      />
    </div>
  );
  return [field, isGood ? value : null];
}
