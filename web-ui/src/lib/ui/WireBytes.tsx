/** A record's bytes, coloured by what they are in Confluent's wire format, with the explanation. */

import { useT } from '@/lib/i18n';
import { partOf, readWire, type Part } from '@/lib/wire';

const COLOURS: Record<Part, string> = {
  magic: 'text-(--event-dlq) font-semibold',
  schema: 'text-accent font-semibold',
  body: 'text-ink-2',
};
/** Enough to see the shape; a longer value says how much more there is. */
const SHOWN_MAX = 512;
const PER_LINE = 12;

export function WireBytes({ base64, isJson = false }: { base64: string | null; isJson?: boolean }) {
  const t = useT();
  if (base64 === null) return <p className="text-ink-2">{t('wire.tombstone')}</p>;
  const { bytes, magic, schemaId } = readWire(base64);
  if (bytes.length === 0) return <p className="text-ink-2">{t('wire.empty')}</p>;
  // Behind a wrong first byte nothing can be told apart.
  const isBad = !isJson && magic !== 0;
  const isPlain = isJson || isBad;
  const shown = bytes.subarray(0, SHOWN_MAX);
  const lines = Array.from({ length: Math.ceil(shown.length / PER_LINE) }, (_, line) => shown.subarray(line * PER_LINE, (line + 1) * PER_LINE));
  return (
    <div className="space-y-2">
      <div role="group" aria-label={t('event.bytes')} tabIndex={0} className="overflow-x-auto rounded-md bg-sunk p-3 font-mono text-2xs leading-5 whitespace-pre">
        {lines.map((line, index) => (
          <div key={index}>
            <span className="text-ink-3 select-none">{(index * PER_LINE).toString(16).padStart(4, '0')} </span>
            {Array.from(line, (byte, column) => (
              <span key={column} className={COLOURS[isPlain && !(isBad && index + column === 0) ? 'body' : partOf(index * PER_LINE + column)]}>
                {` ${byte.toString(16).padStart(2, '0')}`}
              </span>
            ))}
            <span className="text-ink-3">{`${'   '.repeat(PER_LINE - line.length)}  ${Array.from(line, printable).join('')}`}</span>
          </div>
        ))}
        {bytes.length > SHOWN_MAX && <div className="text-ink-3">{t('wire.more', { count: bytes.length - SHOWN_MAX })}</div>}
      </div>
      {isJson ? (
        <p className="text-[0.8125rem] text-ink-2">{t('wire.json')}</p>
      ) : (
        <ul className="space-y-1 text-[0.8125rem] text-ink-2">
          <li>
            <span className={COLOURS.magic}>{hex(magic)}</span> {t(magic === 0 ? 'wire.magic' : 'wire.magic.bad')}
          </li>
          {!isBad && (
            <>
              <li>
                <span className={COLOURS.schema}>{schemaId === undefined ? '–' : String(schemaId)}</span> {t(schemaId === undefined ? 'wire.schema.missing' : 'wire.schema')}
              </li>
              <li>
                <span className="font-semibold">{t('wire.bytes', { count: Math.max(0, bytes.length - 5) })}</span> {t('wire.body')}
              </li>
            </>
          )}
        </ul>
      )}
    </div>
  );
}

function hex(byte: number | undefined): string {
  return byte === undefined ? '–' : `0x${byte.toString(16).padStart(2, '0')}`;
}

function printable(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·';
}
