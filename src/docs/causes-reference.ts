import { rootCauseCatalogue } from '../diagnosis/root-causes.js';
import { rootCauses } from '../model/verdict.js';

/** `docs/causes.md`: what can stop a packet, how that looks, how netrig knows it, how to mend it. */
export function causesReferenceMarkdown(): string {
  const sections = rootCauses.map((name) => {
    const { meaning, looksLike, known, mend } = rootCauseCatalogue[name];
    return `## \`${name}\`

${meaning}

- **Looks like:** ${looksLike}
- **How netrig knows:** ${known}
- **Mend:** ${mend}
`;
  });
  return `# Why a packet does not arrive

Generated from \`src/diagnosis/root-causes.ts\` by \`npm run docs\`.

When a connectivity check fails, netrig sends its probe once more and follows it through all hosts of the lab. What it sees there is one of these root causes; where the evidence does not suffice, it names the last place at which the packet was seen, and no cause. \`netrig trace FROM TO\` does the same by hand.

A check’s *cause* (\`timeout\`, \`refused\`, …) is what the sender met; the *root cause* is what is wrong, and where.

${sections.join('\n')}`.trimEnd() + '\n';
}
