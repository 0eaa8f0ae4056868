import markdownIt from 'markdown-it';

/**
 * Markdown of a scenario for the page: no HTML of its own, no images (nothing is loaded from anywhere), links that tell their
 * target nothing. markdown-it itself refuses links to `javascript:`, `vbscript:`, `file:` and `data:`.
 */
const renderer = markdownIt({ html: false, linkify: false, typographer: false }).disable(['image']);

const open = renderer.renderer.rules.link_open;
renderer.renderer.rules.link_open = (tokens, at, options, env, self) => {
  tokens[at]!.attrSet('rel', 'noopener noreferrer');
  return open ? open(tokens, at, options, env, self) : self.renderToken(tokens, at, options);
};

export function textHtml(markdown: string): string {
  return `<div class="text">${renderer.render(markdown)}</div>`;
}
