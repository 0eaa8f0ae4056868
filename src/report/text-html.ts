import type markdownIt from 'markdown-it';
import { createRequire } from 'node:module';

type Renderer = ReturnType<typeof markdownIt>;

/**
 * Markdown of a scenario for the page: no HTML of its own, no images (nothing is loaded from anywhere), links that tell their
 * target nothing. markdown-it itself refuses links to `javascript:`, `vbscript:`, `file:` and `data:`.
 */
function makeRenderer(): Renderer {
  // Loaded with the first text: most scenarios have none, and a run would wait for it before it begins.
  const make = createRequire(import.meta.url)('markdown-it') as typeof markdownIt;
  const made = make({ html: false, linkify: false, typographer: false }).disable(['image']);
  const open = made.renderer.rules.link_open;
  made.renderer.rules.link_open = (tokens, at, options, env, self) => {
    tokens[at]!.attrSet('rel', 'noopener noreferrer');
    return open ? open(tokens, at, options, env, self) : self.renderToken(tokens, at, options);
  };
  return made;
}

let renderer: Renderer | undefined;

export function textHtml(markdown: string): string {
  renderer ??= makeRenderer();
  return `<div class="text">${renderer.render(markdown)}</div>`;
}
