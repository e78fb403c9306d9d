/**
 * The page: header, sidebar, the view that the address names, footer. Features are put together
 * here and in `app/`, and nowhere else.
 */

import { useEffect, useState } from 'react';

import { ErrorBoundary } from '@/app/ErrorBoundary';
import { Footer } from '@/app/Footer';
import { Header } from '@/app/Header';
import { Sidebar } from '@/app/Sidebar';
import { ViewOutlet } from '@/app/views';
import { GuidedTour } from '@/features/tour/GuidedTour';
import { useT } from '@/lib/i18n';
import { startLive } from '@/lib/live';
import { useHealth, useLedger, useSimulationStatus } from '@/lib/queries';
import { followHistory } from '@/lib/router';
import { followSystem, useLanguage } from '@/lib/settings';
import { Toasts } from '@/lib/ui/Toasts';
import { eventSocket } from '@/lib/websocket';

export function App() {
  const t = useT();
  const language = useLanguage();
  const [isSidebarOpen, setSidebarOpen] = useState(false);
  useEffect(() => startLive(eventSocket), []);
  useEffect(() => followHistory(), []);
  useEffect(() => followSystem(), []);
  // What every view leans on is asked for here, whichever is shown.
  useSimulationStatus();
  useHealth();
  useLedger();
  return (
    <div lang={language} className="grid h-dvh grid-cols-[minmax(0,1fr)] grid-rows-[auto_minmax(0,1fr)_auto] overflow-hidden">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-panel focus:p-2">
        {t('skip')}
      </a>
      <Header
        onMenu={() => {
          setSidebarOpen(true);
        }}
      />
      <div className="relative flex min-h-0">
        <Sidebar
          isOpen={isSidebarOpen}
          onClose={() => {
            setSidebarOpen(false);
          }}
        />
        <main id="main" tabIndex={-1} className="min-w-0 flex-1 overflow-y-auto outline-none">
          <ErrorBoundary>
            <ViewOutlet />
          </ErrorBoundary>
        </main>
      </div>
      <Footer />
      <Toasts />
      <GuidedTour />
    </div>
  );
}
