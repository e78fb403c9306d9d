/** Which view an address shows. The first screen comes with the page; the others when they are
 * asked for. */

import { lazy, Suspense, type ComponentType } from 'react';

import { FlowView } from '@/app/FlowView';
import { useRoute, type View } from '@/lib/router';
import { Loading } from '@/lib/ui/states';

const VIEWS: Record<View, ComponentType> = {
  flow: FlowView,
  events: lazy(() => import('@/features/events/EventTable').then((m) => ({ default: m.EventTable }))),
  kafka: lazy(() => import('@/features/kafka/KafkaView').then((m) => ({ default: m.KafkaView }))),
  accounts: lazy(() => import('@/features/accounts/AccountsView').then((m) => ({ default: m.AccountsView }))),
  ledger: lazy(() => import('@/features/ledger/LedgerView').then((m) => ({ default: m.LedgerView }))),
  'dead-letters': lazy(() => import('@/features/deadletters/DeadLettersView').then((m) => ({ default: m.DeadLettersView }))),
  break: lazy(() => import('@/features/breakit/BreakItView').then((m) => ({ default: m.BreakItView }))),
  guide: lazy(() => import('@/features/guide/GuideView').then((m) => ({ default: m.GuideView }))),
};

export function ViewOutlet() {
  const view = useRoute((route) => route.view);
  const Shown = VIEWS[view];
  return (
    <Suspense fallback={<Loading lines={8} />}>
      <Shown />
    </Suspense>
  );
}
