/** Title, views, connection, settings. */

import { CircleHelp, Menu, RotateCw } from 'lucide-react';

import { SettingsMenu } from '@/app/SettingsMenu';
import { openTour } from '@/features/tour/GuidedTour';
import { useT, type Key } from '@/lib/i18n';
import { pathOf, useRoute, type View } from '@/lib/router';
import { useSimulationStore } from '@/lib/store/simulationStore';
import { IconButton } from '@/lib/ui/controls';
import { Link } from '@/lib/ui/Link';
import { StatusDot, type Level } from '@/lib/ui/StatusDot';
import { useNow } from '@/lib/ui/useNow';
import { eventSocket, type ConnectionStatus } from '@/lib/websocket';

const TABS: View[] = ['flow', 'events', 'kafka', 'accounts', 'ledger', 'dead-letters', 'break', 'guide'];

export function Header({ onMenu }: { onMenu: () => void }) {
  const t = useT();
  const view = useRoute((route) => route.view);
  return (
    <header className="flex flex-wrap items-center gap-x-3 border-b border-line bg-panel px-3">
      <IconButton label={t('menu')} className="lg:hidden" onClick={onMenu} data-testid="menu">
        <Menu aria-hidden className="size-4" />
      </IconButton>
      <Link to={pathOf('flow')} className="py-2.5 text-[0.9375rem] font-semibold tracking-tight text-ink">
        EDA-Lab
      </Link>
      <nav aria-label={t('nav')} data-tour="nav" className="order-last -mx-3 min-w-0 basis-[calc(100%+1.5rem)] overflow-x-auto px-3 max-lg:border-t max-lg:border-line lg:order-none lg:mx-2 lg:flex-1 lg:basis-0 lg:px-0">
        <ul className="flex">
          {TABS.map((tab) => (
            <li key={tab}>
              <Link
                to={pathOf(tab)}
                aria-current={view === tab ? 'page' : undefined}
                className={`block border-b-2 px-2.5 py-2.5 text-[0.8125rem] whitespace-nowrap ${view === tab ? 'border-accent font-medium text-ink' : 'border-transparent text-ink-2 hover:text-ink'}`}
              >
                {t(`nav.${tab}` satisfies Key)}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="ml-auto flex items-center gap-1">
        <Connection />
        <IconButton label={t('tour.open')} onClick={openTour}>
          <CircleHelp aria-hidden className="size-4" />
        </IconButton>
        <SettingsMenu />
      </div>
    </header>
  );
}

const LEVELS: Record<ConnectionStatus, Level> = { idle: 'unknown', connecting: 'unknown', connected: 'good', reconnecting: 'bad' };

function Connection() {
  const t = useT();
  const { status, retryAt } = useSimulationStore((state) => state.connectionStatus);
  const isFed = useSimulationStore((state) => state.isFed);
  const isStarved = status === 'connected' && !isFed;
  return (
    <div role="status" data-testid="connection" data-status={status} className="flex items-center gap-1.5 text-xs text-ink-2">
      <StatusDot level={isStarved ? 'warn' : LEVELS[status]} />
      <span className={status === 'connected' && isFed ? 'max-sm:sr-only' : ''}>
        {isStarved ? t('connection.noKafka') : t(`connection.${status}`)}
        {status === 'reconnecting' && retryAt !== null && <Countdown toMs={retryAt} />}
      </span>
      {status === 'reconnecting' && (
        <IconButton
          label={t('connection.now')}
          onClick={() => {
            eventSocket.retryNow();
          }}
        >
          <RotateCw aria-hidden className="size-3.5" />
        </IconButton>
      )}
    </div>
  );
}

function Countdown({ toMs }: { toMs: number }) {
  const now = useNow(250);
  return <span aria-hidden> · {Math.max(0, Math.ceil((toMs - now) / 1000))} s</span>;
}
