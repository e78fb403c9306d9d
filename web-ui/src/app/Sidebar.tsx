/** The simulation's controls: always there on a wide screen, a drawer on a narrow one. */

import { SimulationPanel } from '@/features/simulation/SimulationPanel';
import { useT } from '@/lib/i18n';
import { Drawer } from '@/lib/ui/Drawer';
import { useMedia } from '@/lib/ui/useMedia';

export function Sidebar({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const t = useT();
  const isWide = useMedia('(min-width: 1024px)');
  if (isWide) {
    return (
      <aside aria-label={t('sidebar')} className="w-68 shrink-0 overflow-y-auto border-r border-line bg-panel">
        <SimulationPanel />
      </aside>
    );
  }
  if (!isOpen) return null;
  return (
    <Drawer title={t('sidebar')} side="left" onClose={onClose} className="sm:w-80">
      <SimulationPanel />
    </Drawer>
  );
}
