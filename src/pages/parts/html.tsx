/** HTML that the server made of an author's Markdown; never anything that a lab or a person wrote. */
export function Html({ html }: { html: string }) {
  return <div class="text" dangerouslySetInnerHTML={{ __html: html }} />;
}
