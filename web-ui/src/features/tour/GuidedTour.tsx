/** The first visit: six short stops at what is on the screen, ending with one's own simulation. */

import { X } from 'lucide-react';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import { create } from 'zustand';

import { useT, type Key } from '@/lib/i18n';
import { navigate, pathOf } from '@/lib/router';
import { useSettings } from '@/lib/settings';
import { isRunning as runs } from '@/lib/simulation';
import { useSimulationStore } from '@/lib/store/simulationStore';
import { showToast } from '@/lib/toasts';
import { Button, IconButton } from '@/lib/ui/controls';
import { describe } from '@/lib/ui/states';

interface Stop {
  /** What is pointed at: `data-tour`; null = the middle of the screen. */
  target: string | null;
  title: Key;
  text: Key;
}

const STOPS: Stop[] = [
  { target: null, title: 'tour.welcome', text: 'tour.welcome.text' },
  { target: 'flow', title: 'tour.flow', text: 'tour.flow.text' },
  { target: 'metrics', title: 'tour.metrics', text: 'tour.metrics.text' },
  { target: 'nav', title: 'tour.nav', text: 'tour.nav.text' },
  { target: 'simulation', title: 'tour.start', text: 'tour.start.text' },
];

/** What the tour's last step starts: slow enough to follow single events. */
const FIRST_RUN = { scenario: 'default', rate: 5, duration: 60 };

export const useTour = create<{ isOpen: boolean }>(() => ({ isOpen: !useSettings.getState().tourSeen }));

export function openTour(): void {
  navigate(pathOf('flow'));
  useTour.setState({ isOpen: true });
}

export function GuidedTour() {
  const isOpen = useTour((state) => state.isOpen);
  return isOpen ? <Steps /> : null;
}

function Steps() {
  const t = useT();
  const [index, setIndex] = useState(0);
  const start = useSimulationStore((state) => state.startSimulation);
  const isRunning = useSimulationStore((state) => runs(state.simulationStatus));
  const stop = STOPS[index] ?? STOPS[0];
  const card = useRef<HTMLDivElement>(null);
  const spot = useSpot(stop?.target ?? null);
  const isLast = index === STOPS.length - 1;

  useEffect(() => {
    card.current?.focus();
  }, [index]);
  const close = () => {
    useSettings.getState().change({ tourSeen: true });
    useTour.setState({ isOpen: false });
  };
  const finish = async () => {
    close();
    if (isRunning) return;
    try {
      await start(FIRST_RUN);
      showToast({ tone: 'good', title: t('tour.started') });
    } catch (failure) {
      showToast({ tone: 'bad', ...describe(failure) });
    }
  };
  if (!stop) return null;
  return createPortal(
    <>
      {spot && (
        <div
          aria-hidden
          className="pointer-events-none fixed z-40 rounded-lg ring-2 ring-accent"
          style={{ left: spot.left, top: spot.top, width: spot.width, height: spot.height, boxShadow: '0 0 0 9999px rgb(0 0 0 / 28%)' }}
        />
      )}
      {!spot && <div aria-hidden className="pointer-events-none fixed inset-0 z-40 bg-black/30" />}
      <div
        ref={card}
        role="dialog"
        aria-labelledby="tour-title"
        aria-describedby="tour-text"
        tabIndex={-1}
        data-testid="tour"
        onKeyDown={(event) => {
          if (event.key === 'Escape') close();
        }}
        className="fixed z-50 w-80 max-w-[calc(100vw-2rem)] rounded-lg border border-line bg-panel p-4 shadow-(--shadow) outline-none"
        style={cardPlace(spot)}
      >
        <div className="flex items-start gap-2">
          <h2 id="tour-title" className="flex-1 font-semibold">
            {t(stop.title)}
          </h2>
          <IconButton label={t('tour.skip')} className="-m-1.5" onClick={close}>
            <X aria-hidden className="size-4" />
          </IconButton>
        </div>
        <p id="tour-text" className="mt-1 text-ink-2">
          {t(stop.text)}
        </p>
        <div className="mt-4 flex items-center gap-2">
          <span className="flex-1 text-xs text-ink-3">{t('tour.step', { step: index + 1, steps: STOPS.length })}</span>
          {index > 0 && (
            <Button
              onClick={() => {
                setIndex(index - 1);
              }}
            >
              {t('tour.back')}
            </Button>
          )}
          {isLast ? (
            <Button tone="primary" data-testid="tour-start" onClick={() => void finish()}>
              {t(isRunning ? 'tour.done' : 'tour.go')}
            </Button>
          ) : (
            <Button
              tone="primary"
              data-testid="tour-next"
              onClick={() => {
                setIndex(index + 1);
              }}
            >
              {t('tour.next')}
            </Button>
          )}
        </div>
      </div>
    </>,
    document.body,
  );
}

interface Spot {
  left: number;
  top: number;
  width: number;
  height: number;
}

const MARGIN = 6;
const CARD_WIDTH = 320;
/** About what a card needs; where less is free it moves to another side. */
const CARD_HEIGHT = 210;

/** Where the target is; null when it is not on the screen, as the sidebar on a phone. */
function useSpot(target: string | null): Spot | null {
  const [spot, setSpot] = useState<Spot | null>(null);
  useLayoutEffect(() => {
    const measure = () => {
      const element = target ? document.querySelector(`[data-tour="${target}"]`) : null;
      const box = element?.getBoundingClientRect();
      const isVisible = box && box.width > 0 && box.right > 0 && box.left < window.innerWidth;
      setSpot(isVisible ? { left: box.left - MARGIN, top: box.top - MARGIN, width: box.width + 2 * MARGIN, height: box.height + 2 * MARGIN } : null);
    };
    measure();
    window.addEventListener('resize', measure);
    window.addEventListener('scroll', measure, true);
    return () => {
      window.removeEventListener('resize', measure);
      window.removeEventListener('scroll', measure, true);
    };
  }, [target]);
  return spot;
}

/** Beside the spot where there is room: right, below, above, else inside it at the bottom. */
function cardPlace(spot: Spot | null): React.CSSProperties {
  const { innerWidth, innerHeight } = window;
  const centred = Math.max(16, (innerWidth - CARD_WIDTH) / 2);
  if (!spot) return { left: centred, top: Math.max(16, innerHeight / 2 - CARD_HEIGHT / 2) };
  const clampX = (x: number) => Math.min(Math.max(16, x), Math.max(16, innerWidth - CARD_WIDTH - 16));
  const clampY = (y: number) => Math.min(Math.max(16, y), innerHeight - CARD_HEIGHT - 16);
  if (innerWidth - (spot.left + spot.width) > CARD_WIDTH + 32) return { left: spot.left + spot.width + 16, top: clampY(spot.top + 16) };
  if (innerHeight - (spot.top + spot.height) > CARD_HEIGHT + 32) return { left: clampX(spot.left + spot.width / 2 - CARD_WIDTH / 2), top: spot.top + spot.height + 16 };
  if (spot.top > CARD_HEIGHT + 32) return { left: clampX(spot.left + spot.width / 2 - CARD_WIDTH / 2), bottom: innerHeight - spot.top + 16 };
  return { left: clampX(spot.left + spot.width / 2 - CARD_WIDTH / 2), bottom: 56 };
}
