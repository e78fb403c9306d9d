/** The page's words. A missing French one does not compile. */

import { useCallback } from 'react';

import { en } from '@/lib/i18n/en';
import { fr } from '@/lib/i18n/fr';
import { useLanguage, type Language } from '@/lib/settings';

export type Key = keyof typeof en;
export type Parameters = Record<string, string | number>;
export type Translate = (key: Key, parameters?: Parameters) => string;

const DICTIONARIES: Record<Language, Record<Key, string>> = { en, fr };

export function translate(language: Language, key: Key, parameters: Parameters = {}): string {
  return DICTIONARIES[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole));
}

export function useT(): Translate {
  const language = useLanguage();
  return useCallback<Translate>((key, parameters) => translate(language, key, parameters), [language]);
}

/** For keys that are put together: `status.` + what a service said. */
export function hasKey(key: string): key is Key {
  return key in en;
}
