import { quoteArg } from '../ssh/quote.js';

/** What stands where a secret stood. */
export const maskedSign = '«masked»';

/** Shorter ones would turn up everywhere by chance, and the masked text would tell them all the same. */
const leastSecretLength = 4;

/** A secret as it may be written: as it is, quoted for a shell, in JSON, in a URL, its lines one by one. */
function spellings(secret: string): string[] {
  const lines = secret.split(/\r?\n/);
  const texts = [secret, ...lines].filter((text) => text.length >= leastSecretLength);
  return texts.flatMap((text) => [
    text,
    // No argument can have a NUL in it, so none is ever quoted.
    ...(text.includes('\0') ? [] : [quoteArg(text)]),
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd')),
    Buffer.from(text).toString('base64'),
  ]);
}

/** What programs read of an event: words of closed sets, names that tie events together, files on disk. */
const structural: ReadonlySet<string> = new Set([
  'type',
  't',
  'verdict',
  'cause',
  'kind',
  'level',
  'phase',
  'mode',
  'state',
  'unit',
  'code',
  'id',
  'item',
  'scenario',
  'file',
  'mime',
]);

/**
 * Replaces secrets in a file that is kept: in one that is no text by as many asterisks, so that its parts stay where they are.
 *
 * @param secrets Those shorter than four characters are left alone.
 */
export function maskBytesOf(secrets: readonly string[]): (data: Buffer, mime: string) => Buffer {
  const all = [...new Set(secrets.flatMap(spellings))].sort((a, b) => b.length - a.length);
  if (all.length === 0) return (data) => data;
  return (data, mime) => {
    const text = mime.startsWith('text/') || mime.includes('json');
    let out = data;
    for (const one of all) {
      const wanted = Buffer.from(one);
      if (!out.includes(wanted)) continue;
      // latin1 keeps every byte as it is.
      const sign = text ? Buffer.from(maskedSign).toString('latin1') : '*'.repeat(wanted.length);
      out = Buffer.from(out.toString('latin1').replaceAll(wanted.toString('latin1'), sign), 'latin1');
    }
    return out;
  };
}

/**
 * Replaces secrets in every text of an event that people read.
 *
 * @param secrets Those shorter than four characters are left alone.
 */
export function maskOf(secrets: Iterable<string>): <Value>(value: Value) => Value {
  // The longest first: one secret may lie within another.
  const all = [...new Set([...secrets].flatMap(spellings))].sort((a, b) => b.length - a.length);
  if (all.length === 0) return (value) => value;
  const pattern = new RegExp(all.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
  const masked = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replace(pattern, maskedSign);
    if (Array.isArray(value)) return value.map(masked);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        key,
        structural.has(key) && typeof one === 'string' ? one : masked(one),
      ]),
    );
  };
  return <Value>(value: Value): Value => masked(value) as Value;
}
