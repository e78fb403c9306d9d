/**
 * What a person chose for this browser: language, theme, motion. Kept in localStorage and shown on
 * the document's root, where index.css reads it. `public/appearance.js` does the same before the
 * first paint.
 */

import { create } from 'zustand';

export const LANGUAGES = ['en', 'fr'] as const;
export type Language = (typeof LANGUAGES)[number];
export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
export const MOTIONS = ['system', 'full', 'reduced'] as const;
export type Motion = (typeof MOTIONS)[number];

interface Choices {
  /** null = the browser's. */
  language: Language | null;
  theme: Theme;
  motion: Motion;
  tourSeen: boolean;
}

interface SettingsState extends Choices {
  change(choices: Partial<Choices>): void;
}

const KEY = 'edalab.settings';
const DEFAULTS: Choices = { language: null, theme: 'system', motion: 'system', tourSeen: false };

export const useSettings = create<SettingsState>((set, get) => ({
  ...read(),
  change(choices) {
    set(choices);
    const { language, theme, motion, tourSeen } = get();
    try {
      localStorage.setItem(KEY, JSON.stringify({ language, theme, motion, tourSeen }));
    } catch {
      // A browser that keeps nothing still shows the page; the choice lasts until it is closed.
    }
    show();
  },
}));

export function useLanguage(): Language {
  return useSettings((state) => state.language) ?? browserLanguage();
}

/** Whether things may move: the person's word, else the system's. */
export function useMotion(): boolean {
  const motion = useSettings((state) => state.motion);
  return motion === 'full' || (motion === 'system' && !prefers('(prefers-reduced-motion: reduce)'));
}

/** Puts the choices on the document's root, now and when the system changes its mind. */
export function followSystem(): () => void {
  show();
  const queries = ['(prefers-color-scheme: dark)', '(prefers-reduced-motion: reduce)'].map((text) => matchMedia(text));
  for (const query of queries) query.addEventListener('change', show);
  return () => {
    for (const query of queries) query.removeEventListener('change', show);
  };
}

function show(): void {
  const { language, theme, motion } = useSettings.getState();
  const root = document.documentElement;
  root.lang = language ?? browserLanguage();
  const dark = theme === 'dark' || (theme === 'system' && prefers('(prefers-color-scheme: dark)'));
  root.dataset.theme = dark ? 'dark' : 'light';
  const still = motion === 'reduced' || (motion === 'system' && prefers('(prefers-reduced-motion: reduce)'));
  root.dataset.motion = still ? 'reduced' : 'full';
}

function browserLanguage(): Language {
  return /^fr/i.test(navigator.language) ? 'fr' : 'en';
}

function prefers(query: string): boolean {
  return typeof matchMedia === 'function' && matchMedia(query).matches;
}

function read(): Choices {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Choices>;
    return {
      language: LANGUAGES.find((word) => word === stored.language) ?? null,
      theme: THEMES.find((word) => word === stored.theme) ?? DEFAULTS.theme,
      motion: MOTIONS.find((word) => word === stored.motion) ?? DEFAULTS.motion,
      tourSeen: stored.tourSeen === true,
    };
  } catch {
    return DEFAULTS;
  }
}
