import { finding } from './finding.js';
import type { Finding } from './finding.js';
import type { Case, Step } from './follow.js';

/**
 * The answer came to who asked, from an address that was not asked: the question was translated on its way, and the answer is
 * not translated back. Without the translator on its way (a hairpin without masquerading), or past its connection tracking
 * (another zone, NOTRACK). `null`: the answer is from who was asked, or nobody was seen to translate the question.
 */
export function notTranslatedBack(c: Case, { space, packet }: Step): Finding | null {
  if (space !== c.source || packet.around.length > 0 || packet.src === c.address) return null;
  const translated = c.forward.find(({ packet: { dst, around } }) => around.length === 0 && dst === packet.src);
  if (!translated) return null;
  const by = translated.space;
  const passes = c.reply.some((step) => step.space === by);
  const asked = `from ${packet.src}, and ${space.label} has asked ${c.address}: ${by.label} translated the question`;
  return passes
    ? finding(
        by,
        'nat-wrong',
        `the answer comes to ${space.label} ${asked}, and lets the answer pass without translating it back`,
        { mend: `one zone of connection tracking for both directions, and no NOTRACK, on ${by.label}` },
      )
    : finding(
        space,
        'asymmetric-way-back',
        `the answer comes to ${space.label} straight ${asked}, and the answer does not pass it`,
        { mend: `iptables -t nat -A POSTROUTING -s ${packet.dst} -d ${packet.src} -j MASQUERADE, on ${by.label}` },
      );
}
