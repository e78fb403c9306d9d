/** Numbers, times and durations as people read them, in the page's language. */

import type { Language } from '@/lib/settings';

const LOCALES: Record<Language, string> = { en: 'en-GB', fr: 'fr-FR' };

/** Builders of Intl formats are slow; one of each is enough. */
const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function number(value: number, language: Language, key: string, options: Intl.NumberFormatOptions): string {
  const id = `${language}:${key}`;
  let format = cache.get(id) as Intl.NumberFormat | undefined;
  if (!format) cache.set(id, (format = new Intl.NumberFormat(LOCALES[language], options)));
  // The narrow space between thousands hardly shows between figures of equal width.
  return format.format(value).replaceAll('\u202f', '\u00a0');
}

/** A whole number with separators; « – » when it is not known. */
export function count(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return number(value, language, 'count', { maximumFractionDigits: 0 });
}

/** A rate per second: one decimal below 100. */
export function rate(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const digits = value < 100 && !Number.isInteger(Math.round(value * 10) / 10) ? 1 : 0;
  return number(value, language, `rate${String(digits)}`, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Milliseconds as the shortest form that keeps two figures. */
export function latency(ms: number | null | undefined, language: Language): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms >= 10_000) return `${count(ms / 1000, language)} s`;
  if (ms >= 1000) return `${number(ms / 1000, language, 'one', { maximumFractionDigits: 1 })} s`;
  if (ms >= 10) return `${count(ms, language)} ms`;
  return `${number(ms, language, 'one', { maximumFractionDigits: 1 })} ms`;
}

/** An amount: the API sends decimal strings, which are grouped here without a float in between. */
export function amount(value: string | null | undefined, devise: string, language: Language): string {
  if (value === null || value === undefined) return '–';
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value);
  if (!match) return value;
  const [, sign = '', whole = '', cents = ''] = match;
  const group = language === 'fr' ? '\u00a0' : ',';
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, group);
  const text = `${sign === '-' ? '−' : ''}${grouped}${language === 'fr' ? ',' : '.'}${cents.padEnd(2, '0')}`;
  return `${text}\u00a0${devise === 'EUR' ? '€' : devise}`;
}

/** Bytes in B, kB or MB. */
export function bytes(value: number | null | undefined, language: Language): string {
  if (value === null || value === undefined) return '–';
  const unit = language === 'fr' ? 'o' : 'B';
  if (value < 1000) return `${count(value, language)} ${unit}`;
  const [scaled, prefix] = value < 1e6 ? [value / 1e3, 'k'] : [value / 1e6, 'M'];
  return `${number(scaled, language, 'one', { maximumFractionDigits: 1 })} ${prefix}${unit}`;
}

/** hh:mm:ss. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const part = (n: number) => String(n).padStart(2, '0');
  return `${part(Math.floor(whole / 3600))}:${part(Math.floor(whole / 60) % 60)}:${part(whole % 60)}`;
}

/** How long ago, in the coarsest unit: « 4 s », « 2 min », « 3 h ». */
export function age(ms: number): string {
  const seconds = Math.max(0, ms / 1000);
  if (seconds < 60) return `${String(Math.floor(seconds))} s`;
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} min`;
  if (seconds < 86_400) return `${String(Math.floor(seconds / 3600))} h`;
  return `${String(Math.floor(seconds / 86_400))} d`;
}

/** A moment with milliseconds, in local time. */
export function moment(iso: string | number, language: Language): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso);
  const id = `${language}:moment`;
  let format = cache.get(id) as Intl.DateTimeFormat | undefined;
  if (!format) {
    format = new Intl.DateTimeFormat(LOCALES[language], {
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      fractionalSecondDigits: 3,
    });
    cache.set(id, format);
  }
  return format.format(date);
}

/** The first characters of a UUID; the whole one goes into a title. */
export function shortId(id: string): string {
  return id.length > 13 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}

/** A service's log line for people: time, level, message, then the rest. What is no JSON stays as it is. */
export function logLine(line: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof parsed !== 'object' || parsed === null || !('message' in parsed)) return line;
  const { timestamp, level, message, ...rest } = parsed as Record<string, unknown>;
  const time = typeof timestamp === 'string' ? timestamp.slice(11, 23) : '';
  // Whose log it is one knows.
  const others = Object.entries(rest).filter(([name]) => name !== 'service');
  const fields = others.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [time, level, message, ...fields].filter((part) => part !== undefined && part !== '').join(' ');
}
