/** Language, theme, motion. */

import { Settings } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';

import { useT } from '@/lib/i18n';
import { LANGUAGES, MOTIONS, THEMES, useLanguage, useSettings } from '@/lib/settings';
import { IconButton, Segments } from '@/lib/ui/controls';

const NAMES = { en: 'English', fr: 'Français' };

export function SettingsMenu() {
  const t = useT();
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const onPointer = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', onPointer);
    return () => {
      document.removeEventListener('pointerdown', onPointer);
    };
  }, [isOpen]);
  return (
    <div
      ref={box}
      className="relative"
      onKeyDown={(event) => {
        if (event.key === 'Escape' && isOpen) {
          event.stopPropagation();
          setOpen(false);
          box.current?.querySelector('button')?.focus();
        }
      }}
    >
      <IconButton
        label={t('settings')}
        aria-expanded={isOpen}
        data-testid="settings"
        onClick={() => {
          setOpen(!isOpen);
        }}
      >
        <Settings aria-hidden className="size-4" />
      </IconButton>
      {isOpen && <Choices />}
    </div>
  );
}

function Choices() {
  const t = useT();
  const language = useLanguage();
  const { theme, motion, change } = useSettings();
  return (
    <div role="dialog" aria-label={t('settings')} className="absolute top-full right-0 z-40 mt-1 w-72 space-y-4 rounded-lg border border-line bg-panel p-4 shadow-(--shadow)">
      <Segments
        label={t('settings.language')}
        value={language}
        options={LANGUAGES.map((value) => ({ value, label: NAMES[value] }))}
        onChange={(value) => {
          change({ language: value });
        }}
      />
      <Segments
        label={t('settings.theme')}
        value={theme}
        options={THEMES.map((value) => ({ value, label: t(`theme.${value}`) }))}
        onChange={(value) => {
          change({ theme: value });
        }}
      />
      <Segments
        label={t('settings.motion')}
        value={motion}
        options={MOTIONS.map((value) => ({ value, label: t(`motion.${value}`) }))}
        onChange={(value) => {
          change({ motion: value });
        }}
      />
    </div>
  );
}
