/** The first and the last bytes of a stream of any length, in constant memory. */
export interface KeptOutput {
  add(chunk: Buffer): void;
  /** Bytes that came, kept or not. */
  readonly total: number;
  /** What was kept: all of it, or head and tail joined. */
  bytes(): Buffer;
  /** UTF-8 with U+FFFD for what is not; where bytes are missing, a line says how many. */
  text(): string;
}

/**
 * Keeps up to `limit` bytes: half from the start, half from the end. Copies what comes, since ssh2's chunks are windows on
 * larger buffers, which a kept chunk of one byte would hold in memory.
 */
export function keepOutput(limit: number): KeptOutput {
  const headSize = Math.ceil(limit / 2);
  let store: Buffer = nothing;
  let total = 0;

  const reserve = (size: number) => {
    if (store.length >= size) return;
    const larger = Buffer.allocUnsafe(Math.min(limit, Math.max(size, store.length * 2, 1024)));
    store.copy(larger, 0, 0, Math.min(total, limit));
    store = larger;
  };

  const add = (chunk: Buffer) => {
    let rest = chunk;
    if (total < limit) {
      const fits = Math.min(limit - total, rest.length);
      reserve(total + fits);
      rest.copy(store, total, 0, fits);
      total += fits;
      rest = rest.subarray(fits);
    }
    const ringSize = limit - headSize;
    if (rest.length > ringSize) {
      total += rest.length - ringSize;
      rest = rest.subarray(rest.length - ringSize);
    }
    // Beyond the limit the second half is a ring: byte number n of the stream lives at headSize + (n - headSize) % ringSize.
    while (rest.length > 0) {
      const at = (total - headSize) % ringSize;
      const part = Math.min(ringSize - at, rest.length);
      rest.copy(store, headSize + at, 0, part);
      total += part;
      rest = rest.subarray(part);
    }
  };

  const head = () => store.subarray(0, total <= limit ? total : headSize);
  const tail = () => {
    if (total <= limit) return nothing;
    const ring = store.subarray(headSize, limit);
    const oldest = ring.length === 0 ? 0 : (total - headSize) % ring.length;
    return Buffer.concat([ring.subarray(oldest), ring.subarray(0, oldest)]);
  };

  return {
    add,
    get total() {
      return total;
    },
    bytes: () => (total <= limit ? Buffer.from(head()) : Buffer.concat([head(), tail()])),
    text() {
      if (total <= limit) return head().toString('utf8');
      return `${endAtCharacter(head()).toString('utf8')}\n[... ${total - limit} of ${total} bytes left out here ...]\n${startAtCharacter(tail()).toString('utf8')}`;
    },
  };
}

const nothing = Buffer.alloc(0);

/** Without the first bytes of a character that the cut left incomplete. */
function endAtCharacter(bytes: Buffer): Buffer {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? bytes.subarray(0, bytes.length - back) : bytes;
  }
  return bytes;
}

/** Without the last bytes of a character that began before the cut. */
function startAtCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < Math.min(3, bytes.length) && isContinuation(bytes[start] ?? 0)) start += 1;
  return bytes.subarray(start);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
