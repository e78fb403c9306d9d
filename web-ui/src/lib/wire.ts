/** Reads Confluent's wire format, so that the page can show which byte is what. */

export interface WireFormat {
  bytes: Uint8Array;
  /** The first byte; 0 in a good record, undefined when there is none. */
  magic: number | undefined;
  /** The four bytes after it, big endian; undefined when there are fewer. */
  schemaId: number | undefined;
  /** Where the Avro body begins. */
  bodyAt: number;
}

export function readWire(base64: string): WireFormat {
  const bytes = decodeBase64(base64);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    bytes,
    magic: bytes[0],
    schemaId: bytes.length >= 5 ? view.getUint32(1) : undefined,
    bodyAt: Math.min(5, bytes.length),
  };
}

export function decodeBase64(base64: string): Uint8Array {
  try {
    return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

export type Part = 'magic' | 'schema' | 'body';

/** Which part of the wire format a byte belongs to. */
export function partOf(index: number): Part {
  return index === 0 ? 'magic' : index < 5 ? 'schema' : 'body';
}
